"""The contract with aiortc's privates, and the association over an in-memory wire."""

import asyncio
import importlib.metadata
import inspect

import pytest
from aiortc import RTCDtlsTransport, rtcdtlstransport

from rtc.aiortc_seam import QUEUE, Certificate, DtlsFailed, DtlsRole, DtlsSession, SrtpKeys
from rtc.sdp import Fingerprint
from rtc.srtp import SrtpProfile

CERTIFICATES = (Certificate(), Certificate())
MS = 1_000_000


class Side:
    """One end; what it sends goes to the other end unless `lose` says so."""

    def __init__(self, number: int, role: DtlsRole, trusts: tuple[Fingerprint, ...]) -> None:
        self.keys: SrtpKeys | None = None  # set by a callback
        self.ended: list[DtlsFailed | None] = []
        self.sent: list[bytes] = []
        self.lose = 0
        self.other: Side | None = None
        self.session = DtlsSession(
            CERTIFICATES[number], role, trusts, send=self.send, on_keys=self.on_keys, on_end=self.ended.append
        )

    def secure(self) -> bool:
        return self.keys is not None

    def on_keys(self, keys: SrtpKeys) -> None:
        self.keys = keys

    def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)
        if self.lose:
            self.lose -= 1
        elif self.other is not None:
            self.other.session.feed(datagram)


def pair(trust: tuple[Fingerprint, ...] | None = None) -> tuple[Side, Side]:
    server = Side(0, DtlsRole.SERVER, trust or (CERTIFICATES[1].fingerprint,))
    client = Side(1, DtlsRole.CLIENT, (CERTIFICATES[0].fingerprint,))
    server.other, client.other = client, server
    return server, client


async def settle(*sides: Side, rounds: int = 200) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)
        if all(s.keys or s.ended for s in sides):
            return


async def connected() -> tuple[Side, Side]:
    server, client = pair()
    server.session.start()
    client.session.start()
    await settle(server, client)
    return server, client


def test_the_pinned_version_has_the_privates_we_use() -> None:
    assert importlib.metadata.version("aiortc") == "1.16.0"
    for name in ("_set_role", "_set_state", "_setup_srtp", "_validate_peer_identity", "_do_handshake", "_recv_next"):
        assert callable(getattr(RTCDtlsTransport, name)), name
    source = inspect.getsource(RTCDtlsTransport)
    facts = ("self._srtp_profiles = SRTP_PROFILES", "self._ssl: Optional", "self._role", "await self.transport._recv()")
    for fact in facts:
        assert fact in source, fact
    assert "await self.transport._send(data)" in inspect.getsource(RTCDtlsTransport._write_ssl)
    assert inspect.getsource(RTCDtlsTransport.stop).count("await") == 1  # _farewell runs it without a loop
    assert set(rtcdtlstransport.X509_DIGEST_ALGORITHMS) == {"sha-256", "sha-384", "sha-512"}


async def test_both_ends_get_matching_keys_gcm_first() -> None:
    server, client = await connected()
    assert server.keys is not None
    assert client.keys is not None
    assert server.keys.profile is SrtpProfile.AEAD_AES_128_GCM
    assert (server.keys.inbound, server.keys.outbound) == (client.keys.outbound, client.keys.inbound)
    assert server.keys.inbound != server.keys.outbound
    assert len(server.keys.inbound) == 28
    client.session.close()
    client.session.close()
    for _ in range(20):
        await asyncio.sleep(0)
    assert server.ended == [None]  # close_notify
    assert client.ended == []  # nothing after our own close
    server.session.close()


@pytest.mark.parametrize("role", ["server", "client"])
async def test_a_wrong_certificate_never_yields_keys(role: str) -> None:
    stranger = Certificate().fingerprint
    server = Side(0, DtlsRole.SERVER, (stranger if role == "server" else CERTIFICATES[1].fingerprint,))
    client = Side(1, DtlsRole.CLIENT, (stranger if role == "client" else CERTIFICATES[0].fingerprint,))
    server.other, client.other = client, server
    server.session.start()
    client.session.start()
    await settle(server, client)
    checked = server if role == "server" else client
    assert checked.keys is None
    assert isinstance(checked.ended[0], DtlsFailed)
    server.session.close()
    client.session.close()


def test_weak_fingerprints_are_no_fingerprints() -> None:
    for weak in ((), (Fingerprint("sha-1", "AB:" * 19 + "AB"),)):
        with pytest.raises(DtlsFailed):
            Side(0, DtlsRole.SERVER, weak)


async def test_every_strong_fingerprint_given_has_to_match() -> None:
    right, wrong = CERTIFICATES[1].fingerprint, Fingerprint("sha-512", ":".join(["00"] * 64))
    server, client = pair((right, wrong))
    server.session.start()
    client.session.start()
    await settle(server, client)
    assert server.keys is None
    assert server.ended
    server.session.close()
    client.session.close()


async def test_a_lost_flight_is_resent_long_before_openssl_would() -> None:
    server, client = pair()
    server.lose = 1  # the server's whole first flight
    server.session.start()
    client.session.start()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not client.secure()
    assert len(server.sent) == 1
    for now_ms in range(0, 200, 20):
        server.session.tick(now_ms * MS)
    await settle(server, client)
    assert client.secure()
    assert server.secure()
    server.session.close()
    client.session.close()


async def test_resends_are_few() -> None:
    server, client = pair()
    client.lose = 1000
    client.session.start()
    for _ in range(10):
        await asyncio.sleep(0)
    for now_ms in range(0, 60_000, 20):
        client.session.tick(now_ms * MS)
    assert 2 <= len(client.sent) <= 6
    server.session.close()
    client.session.close()


async def test_hostile_records_before_and_after_the_handshake() -> None:
    """From a validated address: garbage, plaintext alerts, media bytes. At worst dropped, never an exception."""
    server, client = pair()
    server.session.start()
    alert = b"\x15\xfe\xfd" + bytes(8) + b"\0\2\2\x28"
    for noise in (b"\x16" + bytes(60), alert, b"\x80" + bytes(20), b"", b"\x00\x01"):
        server.session.feed(noise)
    client.session.start()
    await settle(server, client)
    assert server.keys is not None
    for noise in (alert, b"\x17\xfe\xfd" + bytes(30), b"\x3f" * 100):
        server.session.feed(noise)
    for _ in range(20):
        await asyncio.sleep(0)
    assert server.ended == []
    assert server.session.dropped == 5  # no DTLS by its first byte, or a plaintext alert
    server.session.close()
    client.session.close()


async def test_the_queue_is_bounded() -> None:
    server, client = pair()
    for _ in range(QUEUE + 10):
        server.session.feed(b"\x16" + bytes(20))
    assert server.session.dropped == 10
    server.session.close()
    client.session.close()
