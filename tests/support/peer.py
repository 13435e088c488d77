"""A media client in Python: offers, connects over real UDP or TCP, publishes synthetic VP8 and Opus, receives, counts.

peer = MediaPeer(publish=(Source.MICROPHONE, Source.CAMERA), slots=2)
answer = await server.negotiate(participant, peer.offer())
await peer.accept(answer.sdp)          # returns when connected
peer.start_publishing()                # real time: Opus every 20 ms, VP8 at 30 frames/s
await peer.wait_for(lambda: peer.track(Kind.VIDEO, 0).packets > 30)
await peer.close()
"""

import asyncio
import contextlib
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rtc import rtcp, rtp, sdp
from rtc.aiortc_seam import Certificate, DtlsRole
from rtc.errors import ParseError
from rtc.icelite import Credentials
from rtc.negotiation import Kind, Offer, Source
from rtc.rtp import RtpPacket
from tests.support import peersdp
from tests.support.peermedia import OpusSource, SentStream, Vp8Source
from tests.support.peerpath import PeerPath
from tests.support.peersdp import ABS_SEND_TIME_ID, MID_ID, RID_ID, RRID_ID, RTX_PT, TWCC_ID, OfferedSection

_NTP_EPOCH = 2208988800
_HISTORY = 512  # sent packets kept per stream for retransmission


@dataclass
class Received:
    """One slot as received. `log` holds the newest packets as (sequence, timestamp, marker, payload)."""

    mid: str
    kind: Kind
    slot: int
    ssrc: int
    rtx_ssrc: int | None
    packets: int = 0
    octets: int = 0
    recovered: int = 0  # through RTX
    last_report: rtcp.SenderReport | None = None
    log: deque[RtpPacket] = field(default_factory=lambda: deque(maxlen=5000))

    @property
    def keyframes(self) -> int:
        return sum(1 for p in self.log if len(p.payload) > 6 and p.payload[0] & 0x10 and not p.payload[6] & 1)

    @property
    def gaps(self) -> int:
        """Sequence numbers missing between the lowest and the highest seen in the log."""
        if not self.log:
            return 0
        first = self.log[0].sequence
        seen = {(p.sequence - first + 0x8000 & 0xFFFF) - 0x8000 for p in self.log}
        return max(seen) - min(seen) + 1 - len(seen)


class MediaPeer:
    """One client peer connection. Not a browser: payloads are filler behind right headers."""

    def __init__(
        self,
        *,
        publish: Sequence[Source] = (Source.MICROPHONE, Source.CAMERA),
        slots: int = 0,
        rids: Sequence[str] = (),
        tcp: bool = False,
        setup: str = "actpass",
        certificate: Certificate | None = None,
    ) -> None:
        self.certificate = certificate or Certificate()
        self.path = PeerPath(self.certificate, self._deliver)
        self.tcp = tcp
        self.setup = setup
        self.sections: list[OfferedSection] = []
        self.sent: dict[Source, list[SentStream]] = {}
        self.received: dict[str, Received] = {}  # by mid
        self.feedback: Counter[str] = Counter()  # "pli", "nack", "remb", "twcc", "sr", "rr"
        self.rids = tuple(rids)
        self.answer: sdp.SessionDescription | None = None
        self.drop_received: Callable[[RtpPacket], bool] = lambda packet: False
        self._session_id = time.time_ns() & 0x7FFFFFFFFFFFFFFF
        self._version = 0
        self._by_ssrc: dict[int, Received] = {}
        self._twcc = 0
        self._changed = asyncio.Event()
        self._publishing: asyncio.Task[None] | None = None
        for source in publish:
            self.add_publish(source)
        self.add_slots(slots)

    # -- SDP -------------------------------------------------------------------------------------------------------

    def add_publish(self, source: Source) -> None:
        """One more sending section in the next offer."""
        rids = self.rids if source is Source.CAMERA else ()
        streams = [SentStream(source, rid) for rid in rids] or [SentStream(source, None)]
        self.sent[source] = streams
        self.sections.append(OfferedSection(str(len(self.sections)), source.kind, source, streams, rids))

    def add_slots(self, count: int) -> None:
        """`count` more pairs of audio and video receive sections in the next offer."""
        for _ in range(count):
            for kind in (Kind.AUDIO, Kind.VIDEO):
                self.sections.append(OfferedSection(str(len(self.sections)), kind, None, [], ()))

    def offer(self) -> Offer:
        self._version += 1
        text = peersdp.write(
            self.sections, self.path.local, self.certificate, self._session_id, self._version, self.setup
        )
        return Offer(text, {s.mid: s.source for s in self.sections if s.source is not None})

    async def accept(self, text: str, *, timeout: float = 10.0, address: tuple[str, int] | None = None) -> None:
        """Take the answer; the first time also connect, and return when media may flow.

        `address` replaces the answer's candidate. Raises TimeoutError, or DtlsFailed when the handshake failed.
        """
        first = self.answer is None
        self.answer = sdp.parse(text)
        media = next(m for m in self.answer.media if m.live)
        assert media.ice_ufrag is not None
        assert media.ice_pwd is not None
        remote = Credentials(media.ice_ufrag, media.ice_pwd)
        self._learn_slots(text)
        if not first:
            self.path.restart(remote)
            return
        await self.path.open(address or peersdp.candidate(text, tcp=self.tcp), tcp=self.tcp)
        role = DtlsRole.SERVER if media.setup == "active" else DtlsRole.CLIENT
        self.path.start(remote, media.fingerprints, role)
        async with asyncio.timeout(timeout):
            waits = [asyncio.ensure_future(e.wait()) for e in (self.path.connected, self.path.closed)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        if not self.path.connected.is_set():
            raise self.path.failure or ConnectionError("closed before connected")

    def restart_ice(self) -> None:
        """New credentials for the next offer (same peer connection, same certificate)."""
        self.path.local = Credentials.random()

    def _learn_slots(self, text: str) -> None:
        assert self.answer is not None
        order: Counter[Kind] = Counter()
        for section, media in zip(self.sections, self.answer.media, strict=True):
            if section.source is not None:
                continue
            slot = order[section.kind]
            order[section.kind] += 1
            if not media.ssrcs or media.mid in self.received:
                continue
            entry = Received(media.mid, section.kind, slot, media.ssrcs[0], media.repair.get(media.ssrcs[0]))
            self.received[media.mid] = entry
            self._by_ssrc[entry.ssrc] = entry
            if entry.rtx_ssrc is not None:
                self._by_ssrc[entry.rtx_ssrc] = entry

    def track(self, kind: Kind, slot: int) -> Received:
        """The receiving side of one slot."""
        return next(r for r in self.received.values() if r.kind is kind and r.slot == slot)

    # -- receiving -------------------------------------------------------------------------------------------------

    def _deliver(self, packet: bytes, is_rtcp: bool) -> None:
        try:
            if is_rtcp:
                for item in rtcp.parse(packet):
                    self._feedback(item)
            else:
                self._rtp(rtp.parse(packet))
        except ParseError as error:
            raise AssertionError(f"the server sent a malformed packet: {error}") from error
        self._changed.set()

    def _rtp(self, packet: RtpPacket) -> None:
        entry = self._by_ssrc.get(packet.ssrc)
        if entry is None:
            self.feedback["unknown ssrc"] += 1
            return
        if self.drop_received(packet):
            return
        entry.octets += len(packet.payload)
        if packet.ssrc == entry.rtx_ssrc:
            if len(packet.payload) < 2:
                return
            entry.recovered += 1
            packet = RtpPacket(
                entry.log[-1].payload_type if entry.log else 0,
                packet.marker,
                rtp.original_sequence(packet.payload),
                packet.timestamp,
                entry.ssrc,
                packet.extensions,
                packet.payload[2:],
            )
        entry.packets += 1
        entry.log.append(packet)

    def _feedback(self, item: rtcp.Packet) -> None:
        streams = {s.ssrc: s for group in self.sent.values() for s in group}
        match item:
            case rtcp.KeyframeRequest():
                self.feedback["pli"] += 1
                if item.media in streams:
                    streams[item.media].want_key = True
            case rtcp.Nack():
                self.feedback["nack"] += 1
                if item.media in streams:
                    for sequence in item.sequences:
                        self._retransmit(streams[item.media], sequence)
            case rtcp.Remb():
                self.feedback["remb"] += 1
            case rtcp.TransportFeedback():
                self.feedback["twcc"] += 1
            case rtcp.SenderReport():
                self.feedback["sr"] += 1
                if item.ssrc in self._by_ssrc:
                    self._by_ssrc[item.ssrc].last_report = item
            case rtcp.ReceiverReport():
                self.feedback["rr"] += 1
            case rtcp.Bye():
                self.feedback["bye"] += 1

    async def wait_for(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Return once `condition` holds, looked at after each packet. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.25)

    def send_rtcp(self, *packets: bytes) -> None:
        """One compound: an empty receiver report and then these."""
        self.path.send(rtcp.build_rr(1) + b"".join(packets), rtcp=True)

    def request_keyframe(self, track: Received) -> None:
        self.send_rtcp(rtcp.build_pli(1, track.ssrc))

    def send_nack(self, track: Received, sequences: Sequence[int]) -> None:
        self.send_rtcp(rtcp.build_nack(1, track.ssrc, sequences))

    def send_remb(self, bitrate: int) -> None:
        self.send_rtcp(rtcp.build_remb(1, bitrate, [r.ssrc for r in self.received.values() if r.kind is Kind.VIDEO]))

    # -- sending ---------------------------------------------------------------------------------------------------

    def send_audio(self, level: int = 30, payload: bytes | None = None) -> None:
        """One 20 ms Opus packet; `level` in -dBov (127 = silence)."""
        stream = self.sent[Source.MICROPHONE][0]
        source = stream.media
        assert isinstance(source, OpusSource)
        body = payload if payload is not None else source.payload()
        extensions = {peersdp.LEVEL_ID: bytes([0x80 | level])}
        self._emit(stream, source.next_timestamp(), [body], extensions)

    def send_frame(self, source: Source = Source.CAMERA, frame: bytes | None = None, *, key: bool = False) -> None:
        """One VP8 frame on every layer: filler, or the encoded `frame` given (cut into packets)."""
        for stream in self.sent[source]:
            media = stream.media
            assert isinstance(media, Vp8Source)
            payloads = media.payloads(frame, key=key or stream.want_key)
            stream.want_key = False
            self._emit(stream, media.next_timestamp(), payloads, {})

    def send_padding(self, source: Source = Source.CAMERA) -> None:
        """A padding-only probe packet."""
        stream = self.sent[source][0]
        self._emit(stream, stream.timestamp, [b""], {}, padding=200)

    def _emit(
        self,
        stream: SentStream,
        timestamp: int,
        payloads: Sequence[bytes],
        extra: Mapping[int, bytes],
        padding: int = 0,
    ) -> None:
        stream.timestamp = timestamp
        for number, payload in enumerate(payloads):
            packet = RtpPacket(
                stream.payload_type,
                number == len(payloads) - 1,
                stream.sequence,
                timestamp,
                stream.ssrc,
                self._extensions(stream, extra),
                payload,
                padding,
            )
            stream.remember(packet, _HISTORY)
            stream.sequence = stream.sequence + 1 & 0xFFFF
            stream.packets += 1
            stream.octets += len(payload)
            self.path.send(rtp.build(packet))

    def _extensions(self, stream: SentStream, extra: Mapping[int, bytes], *, rtx: bool = False) -> dict[int, bytes]:
        self._twcc += 1
        found = {MID_ID: self._mid(stream.source).encode(), TWCC_ID: struct.pack("!H", self._twcc & 0xFFFF), **extra}
        if stream.source.kind is Kind.VIDEO:
            found[ABS_SEND_TIME_ID] = int(time.time() * 262144 % 0x1000000).to_bytes(3, "big")
        if stream.rid is not None:
            found[RRID_ID if rtx else RID_ID] = stream.rid.encode()
        return found

    def _mid(self, source: Source) -> str:
        return next(s.mid for s in self.sections if s.source is source)

    def _retransmit(self, stream: SentStream, sequence: int) -> None:
        packet = stream.history.get(sequence)
        if packet is None or stream.source.kind is Kind.AUDIO:
            return
        again = RtpPacket(
            RTX_PT,
            packet.marker,
            stream.rtx_sequence,
            packet.timestamp,
            stream.rtx_ssrc,
            self._extensions(stream, {}, rtx=True),
            struct.pack("!H", sequence) + packet.payload,
        )
        stream.rtx_sequence = stream.rtx_sequence + 1 & 0xFFFF
        stream.retransmitted += 1
        self.path.send(rtp.build(again))

    def send_reports(self) -> None:
        """A sender report for every stream that has sent something."""
        now = time.time() + _NTP_EPOCH
        ntp = int(now * 2**32)
        for stream in (s for group in self.sent.values() for s in group if s.packets):
            report = rtcp.SenderReport(stream.ssrc, ntp, stream.timestamp, stream.packets, stream.octets)
            self.path.send(rtcp.build_sr(report) + rtcp.build_sdes(stream.ssrc, "peer"), rtcp=True)

    def start_publishing(self) -> None:
        """Real-time Opus (50/s), VP8 (30 frames/s) and reports (1/s) until `stop_publishing` or `close`."""
        if self._publishing is None:
            self._publishing = asyncio.get_running_loop().create_task(self._publish())

    async def stop_publishing(self) -> None:
        if self._publishing is not None:
            self._publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._publishing
            self._publishing = None

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        start, tick = loop.time(), 0
        while True:  # 100 ticks a second: audio every 2nd, video 3 in 10, reports every 100th
            if Source.MICROPHONE in self.sent and tick % 2 == 0:
                self.send_audio()
            for source in (Source.CAMERA, Source.SCREEN):
                if source in self.sent and tick % 10 in (0, 3, 6):
                    self.send_frame(source)
            if tick % 100 == 10:
                self.send_reports()
            tick += 1
            await asyncio.sleep(max(0.0, start + tick / 100 - loop.time()))

    async def close(self, *, farewell: bool = True) -> None:
        """Leave; without `farewell` like a crashed client."""
        await self.stop_publishing()
        await self.path.close(farewell=farewell)
