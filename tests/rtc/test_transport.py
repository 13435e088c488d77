"""One path on a fake clock and fake routes: states, replay, forged media, silence, errors on the way out."""

import pytest

from rtc import stun
from rtc.aiortc_seam import Certificate, DtlsRole, DtlsSession, SrtpKeys
from rtc.front import Front
from rtc.icelite import CONSENT_NS, SILENCE_NS, Credentials
from rtc.srtp import TRAILER, SrtpProfile, SrtpSession
from rtc.transport import HANDSHAKE_NS, IllegalMove, Transport, TransportState
from tests.rtc.test_icelite import FakeRoute

CERTIFICATE = Certificate()
LOCAL = Credentials("ours", "p" * 24)
SECOND = 1_000_000_000
KEYS = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, bytes(range(28)), bytes(range(28, 56)))
RTP = b"\x80\x60\x00\x01" + bytes(4) + b"\0\0\0\7" + b"payload"
RTCP = b"\x80\xc9\x00\x01\x00\x00\x00\x07"


class Receiver:
    def __init__(self) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.states: list[TransportState] = []

    def on_rtp(self, packet: memoryview, now_ns: int) -> None:
        self.rtp.append(bytes(packet))

    def on_rtcp(self, compound: bytes, now_ns: int) -> None:
        self.rtcp.append(compound)

    def on_transport(self, state: TransportState, now_ns: int) -> None:
        self.states.append(state)


class Bench:
    """A transport, its clock, one route, and the peer's SRTP sessions."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.front = Front()
        self.transport = Transport(
            self.front,
            CERTIFICATE,
            local=LOCAL,
            remote_ufrag="theirs",
            fingerprints=(CERTIFICATE.fingerprint,),
            role=DtlsRole.SERVER,
            clock=lambda: self.now_ns,
        )
        self.receiver = Receiver()
        self.transport.receiver = self.receiver
        self.route = FakeRoute("peer")
        self.peer_out = SrtpSession(KEYS.profile, KEYS.inbound, inbound=False)
        self.peer_in = SrtpSession(KEYS.profile, KEYS.outbound, inbound=True)

    def is_(self, state: TransportState) -> bool:
        return self.transport.state is state

    def over_tcp(self) -> bool:
        return self.transport.over_tcp

    def silent(self) -> bool:
        return self.transport.silent

    def check(self) -> None:
        request = stun.binding_request(
            bytes(12), "ours:theirs", LOCAL.pwd.encode(), tie_breaker=1, priority=1, nominate=True
        )
        self.front.check(request, self.route, self.now_ns)

    def connect(self) -> None:
        """As after a handshake: the seam's own tests cover how keys come about."""
        self.check()
        self.transport._on_keys(KEYS)
        self.route.sent.clear()

    def protected(self, packet: bytes, *, rtcp: bool = False) -> bytes:
        buffer = bytearray(packet) + bytes(TRAILER)
        protect = self.peer_out.protect_rtcp if rtcp else self.peer_out.protect_rtp
        return bytes(buffer[: protect(buffer, len(packet))])

    def deliver(self, packet: bytes) -> None:
        self.front.datagram(bytearray(packet) + bytes(16), len(packet), "peer", self.now_ns)


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_the_straight_life(bench: Bench) -> None:
    assert bench.is_(TransportState.NEW)
    bench.connect()
    bench.deliver(bench.protected(RTP))
    bench.deliver(bench.protected(RTCP, rtcp=True))
    assert (bench.receiver.rtp, bench.receiver.rtcp) == ([RTP], [RTCP])
    bench.transport.send_rtp(bytearray(RTP) + bytearray(TRAILER), len(RTP))
    bench.transport.send_rtcp(RTCP)
    rtp, rtcp = (bytearray(packet) for packet in bench.route.sent)
    assert rtp[: bench.peer_in.unprotect_rtp(rtp, len(rtp))] == RTP
    assert rtcp[: bench.peer_in.unprotect_rtcp(rtcp, len(rtcp))] == RTCP
    bench.transport.close("left")
    bench.transport.close("again")
    assert bench.receiver.states == [TransportState.CONNECTING, TransportState.CONNECTED, TransportState.CLOSED]
    assert bench.transport.close_reason == "left"
    assert bench.front.endpoints == {}
    sent = len(bench.route.sent)
    bench.transport.send_rtp(bytearray(RTP) + bytearray(TRAILER), len(RTP))
    bench.transport.send_rtcp(RTCP)
    assert len(bench.route.sent) == sent
    assert bench.transport.counters.dropped_out == 2
    with pytest.raises(IllegalMove):
        bench.transport._move(TransportState.CONNECTED, 0)


async def test_nothing_is_sent_or_taken_before_the_keys(bench: Bench) -> None:
    bench.transport.send_rtcp(RTCP)
    bench.check()
    bench.deliver(bench.protected(RTP))
    bench.transport.send_rtp(bytearray(RTP) + bytearray(TRAILER), len(RTP))
    assert bench.receiver.rtp == []
    assert bench.transport.counters.early_in == 1
    assert bench.transport.counters.dropped_out == 2
    bench.transport.close("done")


async def test_replayed_and_forged_media_is_counted_and_ends_nothing(bench: Bench) -> None:
    """Row 5: 0 replays accepted, 0 calls ended; and forged media does not keep a dead peer alive."""
    bench.connect()
    good = bench.protected(RTP)
    bench.deliver(good)
    heard = bench.transport.last_heard_ns
    bench.now_ns = SECOND
    for _ in range(1000):
        bench.deliver(good)
    for number in range(1000):
        bench.deliver(bytes([0x80, 0x60]) + number.to_bytes(2, "big") + bytes(60))
        bench.deliver(bytes([0x80, 0xC8]) + number.to_bytes(2, "big") + bytes(60))
    for size in range(1, 30):
        bench.deliver(good[:size])
    assert bench.receiver.rtp == [RTP]
    assert bench.transport.counters.refused_in == 3000 + 29
    assert bench.front.counters.handler_errors == 0
    assert bench.transport.last_heard_ns == heard
    assert bench.is_(TransportState.CONNECTED)
    bench.transport.close("done")


async def test_silence_is_a_hint_first_and_the_end_after_thirty_seconds(bench: Bench) -> None:
    bench.connect()
    bench.now_ns = SILENCE_NS
    assert not bench.silent()
    bench.now_ns += 1
    assert bench.silent()
    assert not bench.transport.active(bench.now_ns)
    bench.deliver(bench.protected(RTP))
    assert not bench.silent()
    bench.now_ns += CONSENT_NS
    bench.transport.tick(bench.now_ns)
    assert bench.is_(TransportState.CONNECTED)
    bench.now_ns += 1
    bench.transport.tick(bench.now_ns)
    assert bench.is_(TransportState.FAILED)
    assert bench.transport.close_reason == "consent_expired"
    bench.transport.tick(bench.now_ns + 1)


async def test_a_handshake_that_never_comes_about_fails(bench: Bench) -> None:
    bench.transport.tick(HANDSHAKE_NS - 1)
    assert bench.is_(TransportState.NEW)
    bench.transport.tick(HANDSHAKE_NS)
    assert bench.is_(TransportState.FAILED)
    assert bench.transport.close_reason == "handshake_timeout"


async def test_same_packet_twice_is_refused_not_sent(bench: Bench) -> None:
    """Never a second packet under one key, SSRC and sequence number."""
    bench.connect()
    for _ in range(2):
        bench.transport.send_rtp(bytearray(RTP) + bytearray(TRAILER), len(RTP))
    assert len(bench.route.sent) == 1
    assert bench.transport.counters.dropped_out == 1
    bench.transport.close("done")


async def test_a_lost_tcp_connection_leaves_no_route(bench: Bench) -> None:
    bench.connect()
    assert bench.over_tcp()  # the fake's key is no address tuple
    bench.front.route_closed(bench.route)
    bench.transport.send_rtcp(RTCP)
    assert bench.route.sent == []
    assert not bench.over_tcp()
    assert bench.silent()
    bench.transport.close("done")


def test_the_seam_is_what_the_transport_uses() -> None:
    assert DtlsSession.__module__ == "rtc.aiortc_seam"
