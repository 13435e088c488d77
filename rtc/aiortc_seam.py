"""DTLS-SRTP by aiortc's RTCDtlsTransport: the only module that imports aiortc or names its privates.

aiortc sees nothing but DTLS records of one validated peer: media is taken off before it, and of its
SRTP it only does the key export, which is overridden here. Private names relied upon (version pinned, contract test in
tests/rtc/test_seam.py): `_set_role`, `_setup_srtp`, `_set_state`, `_srtp_profiles`, `_ssl`, `_role`; of the ICE object
it uses `role`, `_recv`, `_send`; of the certificate `_create_ssl_context`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AES128_CM_SHA1_80,
    SRTPProtectionProfile,
)
from aiortc.rtcdtlstransport import State as _AiortcState

from rtc.errors import MediaError
from rtc.sdp import Fingerprint
from rtc.srtp import SrtpProfile

log = logging.getLogger(__name__)

STRONG_HASHES = frozenset({"sha-256", "sha-384", "sha-512"})
QUEUE = 32  # DTLS datagrams waiting; a handshake has five. More are dropped: DTLS retransmits
_FLIGHT = 8  # datagrams of the last flight kept for a resend
_RESEND_FIRST_NS = 120_000_000
_RESENDS = 5

_PROFILES: tuple[SRTPProtectionProfile, ...] = (SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80)


class DtlsRole(StrEnum):
    CLIENT = "client"  # a=setup:active
    SERVER = "server"  # a=setup:passive


class Certificate:
    """This process's DTLS identity: ECDSA P-256, made at start, never written to disk."""

    def __init__(self) -> None:
        self.aiortc = RTCCertificate.generateCertificate()
        self.fingerprint = next(
            Fingerprint(f.algorithm, f.value) for f in self.aiortc.getFingerprints() if f.algorithm == "sha-256"
        )


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Key material of one connection; `key + salt` as RFC 5764 cuts it."""

    profile: SrtpProfile
    inbound: bytes
    outbound: bytes


def _plaintext_alert(datagram: bytes) -> bool:
    """Whether some record is an unencrypted alert (type 21, epoch 0).

    Anybody who can forge the peer's address could end a handshake with one. An honest one only tells of a failure
    that the timeout finds as well.
    """
    at = 0
    while at + 13 <= len(datagram):
        if datagram[at] == 21 and datagram[at + 3 : at + 5] == b"\0\0":
            return True
        at += 13 + int.from_bytes(datagram[at + 11 : at + 13], "big")
    return False


class DtlsFailed(MediaError):
    """The handshake failed: wrong certificate, no common SRTP profile, alert or timeout."""

    code = "media.dtls_failed"


class _Wire:
    """The duck-typed ICE transport aiortc reads from and writes to."""

    def __init__(self, send: Callable[[bytes], object], role: DtlsRole) -> None:
        self.role = "controlled"
        self._send_datagram = send
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)
        self.closed = False
        self.flight: list[bytes] = []
        self._heard = False

    def feed(self, datagram: bytes) -> bool:
        if self._queue.full() or self.closed:
            return False
        self._queue.put_nowait(datagram)
        self._heard = True
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            while self._queue.full():
                self._queue.get_nowait()
            self._queue.put_nowait(None)  # wakes the reader, which then sees the end

    async def _recv(self) -> bytes:
        data = await self._queue.get()
        if data is None:
            raise ConnectionError("closed")
        return data

    async def _send(self, data: bytes) -> None:
        if self._heard:  # something new came in since the last send: what follows is a new flight
            self._heard = False
            self.flight.clear()
        if len(self.flight) < _FLIGHT:
            self.flight.append(data)
        self._send_datagram(data)

    def resend(self) -> None:
        for datagram in self.flight:
            self._send_datagram(datagram)


class _Dtls(RTCDtlsTransport):
    """RTCDtlsTransport that hands out the SRTP keys instead of making sessions of its own."""

    def __init__(self, wire: Any, certificate: RTCCertificate) -> None:
        super().__init__(wire, [certificate])
        self._srtp_profiles = list(_PROFILES)
        self.keys: SrtpKeys | None = None

    def _setup_srtp(self) -> None:
        assert self._ssl is not None
        chosen = self._ssl.get_selected_srtp_profile()
        profile = next((p for p in _PROFILES if p.openssl_profile == chosen), None)
        if profile is None:
            self._set_state(_AiortcState.FAILED)
            return
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        client, server = profile.get_key_and_salt(material, 0), profile.get_key_and_salt(material, 1)
        inbound, outbound = (client, server) if self._role == DtlsRole.SERVER else (server, client)
        self.keys = SrtpKeys(SrtpProfile(profile.openssl_profile.decode()), inbound, outbound)


class DtlsSession:
    """One DTLS association from handshake to close_notify.

    `on_keys` is called once when the peer's certificate matched and keys exist; `on_end` once when the association is
    over (None: the peer said goodbye) or never came about. Neither is called after `close`.
    """

    def __init__(
        self,
        certificate: Certificate,
        role: DtlsRole,
        fingerprints: Sequence[Fingerprint],
        *,
        send: Callable[[bytes], object],
        on_keys: Callable[[SrtpKeys], None],
        on_end: Callable[[DtlsFailed | None], None],
    ) -> None:
        strong = [RTCDtlsFingerprint(f.algorithm, f.value) for f in fingerprints if f.algorithm in STRONG_HASHES]
        if not strong:
            raise DtlsFailed("no usable fingerprint")
        self.role = role
        self._wire = _Wire(send, role)
        self._dtls = _Dtls(self._wire, certificate.aiortc)
        self._dtls._set_role(role.value)
        self._remote = RTCDtlsParameters(fingerprints=strong)
        self._on_keys, self._on_end = on_keys, on_end
        self._task: asyncio.Task[None] | None = None
        self._resends = 0
        self._resend_at_ns = 0
        self._ended = False
        self.dropped = 0

    def start(self) -> None:
        """Begin the handshake (as client: send the hello). Idempotent."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def started(self) -> bool:
        return self._task is not None

    def feed(self, datagram: bytes) -> None:
        """One datagram whose first byte is 20-63, from a validated address. Dropped when too many wait."""
        if not datagram or not 19 < datagram[0] < 64 or _plaintext_alert(datagram) or not self._wire.feed(datagram):
            self.dropped += 1

    async def _run(self) -> None:
        dtls = self._dtls
        failure: DtlsFailed | None = None
        try:
            await dtls.start(self._remote)
            if dtls.keys is None:
                failure = DtlsFailed("handshake failed")
            else:
                ended = asyncio.get_running_loop().create_future()
                dtls.on("statechange", lambda: None if ended.done() else ended.set_result(None))
                self._on_keys(dtls.keys)
                if dtls.state == "connected":
                    await ended
        except Exception as error:  # aiortc on hostile input: contained, this one association is over
            log.warning("DTLS ended by %s", type(error).__name__)
            failure = DtlsFailed(type(error).__name__)
        if not self._ended:
            self._ended = True
            self._on_end(failure)

    def tick(self, now_ns: int) -> None:
        """Resend the last flight while the handshake stalls: OpenSSL's own first timer is a whole second.

        Verbatim resends are safe: a record the peer already has is dropped by its replay window.
        """
        if self._task is None or self._dtls.keys is not None or self._resends >= _RESENDS or not self._wire.flight:
            return
        if self._wire._heard:
            self._resend_at_ns = 0
        if not self._resend_at_ns:
            self._resend_at_ns = now_ns + (_RESEND_FIRST_NS << self._resends)
        elif now_ns >= self._resend_at_ns:
            self._resends += 1
            self._resend_at_ns = now_ns + (_RESEND_FIRST_NS << self._resends)
            self._wire.resend()

    def close(self) -> None:
        """Send close_notify if connected and stop. Idempotent; no callback follows."""
        if self._ended and self._task is None:
            return
        self._ended = True
        task, self._task = self._task, None
        self._wire.close()
        if task is not None:
            task.cancel()
            self._farewell()

    def _farewell(self) -> None:
        """Run aiortc's `stop` to its end right here: it only awaits our `_send`, which never suspends."""
        stopping = self._dtls.stop()
        with contextlib.suppress(Exception):  # StopIteration is the regular end
            stopping.send(None)
        stopping.close()
