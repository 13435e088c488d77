"""A fake browser on the in-memory wire: publishes fake Opus and simulcast VP8, receives slots, repairs, reports.

It behaves as Chromium does where that matters: NACK with retries, RTX on its own SSRC, PLI only after three seconds
without a decodable frame (200 ms while it waits for its first key frame), REMB three times a second, TWCC ids.
"""

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rtc import rtcp, rtp
from rtc.negotiation import Extensions, Kind, Negotiated, PublishSection, ReceiveSection, Source
from rtc.ntp import from_unix_ns
from tests.support import rtp_factory
from tests.support.rtp_factory import Vp8Encoder
from tests.support.wire import MS, VirtualClock, WirePath


@dataclass(slots=True)
class Outgoing:
    """One SSRC we send, with its history for retransmission."""

    section: PublishSection
    rid: str
    ssrc: int
    rtx_ssrc: int
    rate: int
    sequence: int
    timestamp: int
    encoder: Vp8Encoder | None = None
    rtx_sequence: int = 7
    packets: int = 0
    octets: int = 0
    plis: int = 0
    nacked: int = 0
    enabled: bool = True
    history: deque[tuple[int, int, bool, bytes, int]] = field(default_factory=lambda: deque(maxlen=600))
    sent_at: dict[bytes, int] = field(default_factory=dict)


@dataclass(slots=True)
class Frame:
    at_ns: int
    key: bool
    picture: int
    timestamp: int
    source_picture: int


class Incoming:
    """One slot we receive: jitter-buffer bookkeeping, a decoder that insists on continuity, NACK with retries."""

    def __init__(self, section: ReceiveSection) -> None:
        self.section = section
        self.received: dict[int, tuple[int, bytes]] = {}  # extended sequence -> (arrival, payload without descriptor)
        self.packets: dict[int, rtp.RtpPacket] = {}
        self.repaired: set[int] = set()
        self.high: int | None = None
        self.missing: dict[int, list[int]] = {}
        self.frames: list[Frame] = []
        self.reports: list[rtcp.SenderReport] = []
        self.plis = 0
        self.originals = 0
        self.first_ns = 0
        self.reported_ns = 0
        self._next: int | None = None
        self._pli_ns = 0
        self._reported = (0, 0)
        self._base = 0

    def extend(self, sequence: int) -> int:
        if self.high is None:
            return sequence + 0x10000
        return self.high + ((sequence - self.high + 0x8000) & 0xFFFF) - 0x8000

    def take(self, packet: rtp.RtpPacket, extended: int, now_ns: int, *, repair: bool) -> None:
        if self.high is None:
            self.high = self._base = extended
            self.first_ns = now_ns
        if not repair:
            self.originals += 1
        for lost in range(self.high + 1, extended):
            self.missing[lost] = [now_ns, 0, 0]
        self.high = max(self.high, extended)
        self.missing.pop(extended, None)
        if extended in self.received:
            return
        if repair:
            self.repaired.add(extended)
        self.received[extended] = (now_ns, packet.payload)
        self.packets[extended] = packet
        if self.section.kind is Kind.VIDEO:
            self._decode(now_ns)

    def _decode(self, now_ns: int) -> None:
        while True:
            start = self._next
            if start is None or start not in self.packets:
                start = self._key_start(start)
                if start is None:
                    return
            end = start
            while end in self.packets and not self.packets[end].marker:
                end += 1
            if end not in self.packets:
                later = self._key_start(start + 1)
                if later is None:
                    return
                self._next = later
                continue
            self._show(start, now_ns)
            self._next = end + 1
            for old in [s for s in self.packets if s < start - 50]:
                del self.packets[old]

    def _key_start(self, after: int | None) -> int | None:
        """The oldest complete key frame's start behind `after`."""
        for sequence in sorted(self.packets):
            if (after is None or sequence > after) and _is_key_start(self.packets[sequence].payload):
                end = sequence
                while end in self.packets and not self.packets[end].marker:
                    end += 1
                if end in self.packets:
                    return sequence
        return None

    def _show(self, start: int, now_ns: int) -> None:
        packet = self.packets[start]
        payload = packet.payload
        assert payload[0] & 0x10, "a frame must begin where the last one ended"
        picture = int.from_bytes(payload[2:4], "big") & 0x7FFF
        key = _is_key_start(payload)
        at = 6 + (10 if key else 3)
        self.frames.append(Frame(now_ns, key, picture, packet.timestamp, int.from_bytes(payload[at : at + 4], "big")))

    def due_nacks(self, now_ns: int, rtt_ns: int) -> list[int]:
        due = []
        for sequence, item in list(self.missing.items()):
            if item[2] >= 10 or now_ns - item[0] > 3000 * MS:
                del self.missing[sequence]
            elif now_ns - item[1] >= max(rtt_ns, 20 * MS) and now_ns - item[0] >= 5 * MS:
                item[1], item[2] = now_ns, item[2] + 1
                due.append(sequence & 0xFFFF)
        return due

    def wants_keyframe(self, now_ns: int) -> bool:
        if self.section.kind is not Kind.VIDEO or self.high is None:
            return False
        patience = 3000 * MS if self.frames else 200 * MS
        last = max(self.frames[-1].at_ns if self.frames else self.first_ns, self._pli_ns)
        if now_ns - last < patience:
            return False
        self._pli_ns = now_ns
        self.plis += 1
        return True

    def block(self, now_ns: int) -> rtcp.ReportBlock | None:
        if self.high is None:
            return None
        expected = self.high - self._base + 1
        delta, got = expected - self._reported[0], self.originals - self._reported[1]
        self._reported = (expected, self.originals)
        fraction = max(0, min(255, (delta - got) * 256 // delta)) if delta > 0 else 0
        last = self.reports[-1].ntp >> 16 & 0xFFFFFFFF if self.reports else 0
        dlsr = (now_ns - self.reported_ns) * 65536 // 1_000_000_000 if self.reports else 0
        lost = max(0, expected - self.originals)
        return rtcp.ReportBlock(self.section.ssrc, fraction, lost, self.high, 0, last, dlsr)

    def longest_freeze(self, since_ns: int, until_ns: int) -> float:
        """Seconds without a new decoded frame, at worst, within the time span."""
        times = [since_ns, *(f.at_ns for f in self.frames if since_ns < f.at_ns <= until_ns), until_ns]
        return max(b - a for a, b in itertools.pairwise(times)) / 1e9


def _is_key_start(payload: bytes) -> bool:
    return len(payload) > 6 and payload[0] & 0x17 == 0x10 and not payload[6] & 1


class FakeBrowser:
    """One person's browser. `negotiated` is what its offer/answer would have settled."""

    def __init__(
        self,
        clock: VirtualClock,
        path: WirePath,
        *,
        publish: tuple[PublishSection, ...] = (),
        receive: tuple[ReceiveSection, ...] = (),
        base_ssrc: int = 0x1000,
        fps: int = 15,
        wall_skew_ns: int = 0,
        remb: float | None = 5_000_000.0,
    ) -> None:
        self.clock = clock
        self.path = path
        self.negotiated = Negotiated(publish, receive)
        self.incoming = {section.ssrc: Incoming(section) for section in receive}
        self.by_mid = {i.section.mid: i for i in self.incoming.values()}
        self.outgoing: list[Outgoing] = []
        self.remb = remb
        self.rtt_ns = 100 * MS  # Chromium's default until it knows better
        self.feedback: list[rtcp.Packet] = []
        self.level: Callable[[], int] = lambda: 30
        self._repairs = {s.rtx_ssrc: self.incoming[s.ssrc] for s in receive if s.rtx_ssrc is not None}
        self._wall_skew_ns = wall_skew_ns
        self._wide = 0
        self._fps = fps
        path.peer_rtp, path.peer_rtcp = self._on_rtp, self._on_rtcp
        for section in publish:
            self._prepare(section, base_ssrc + 16 * len(self.outgoing))

    def _prepare(self, section: PublishSection, ssrc: int) -> None:
        rids = section.rids or ("",)
        for i, rid in enumerate(rids):
            scale = len(rids) - 1 - i
            encoder = None
            if section.kind is Kind.VIDEO:
                encoder = Vp8Encoder((1280 >> scale, 720 >> scale), packets=max(1, 6 >> scale), picture=1000 * (i + 1))
            rate = 48_000 if encoder is None else 90_000
            self.outgoing.append(
                Outgoing(
                    section, rid, ssrc + 2 * i, ssrc + 2 * i + 1, rate, 60_000 + 1000 * i, 10**6 * (i + 1), encoder
                )
            )

    def start(self) -> None:
        """Connect and begin to send and report."""
        self.path.connect()
        self.clock.every(20 * MS, self._audio)
        self.clock.every(1000 * MS // self._fps, self._video)
        self.clock.every(20 * MS, self._repair)
        self.clock.every(1000 * MS, self._report)
        if self.remb is not None:
            self.clock.every(333 * MS, self._send_remb)

    def source(self, source: Source, rid: str = "") -> Outgoing:
        return next(o for o in self.outgoing if o.section.source is source and o.rid in (rid, rid or o.rid))

    # -- sending

    def _audio(self) -> None:
        for out in self.outgoing:
            if out.encoder is None:
                out.timestamp += 960
                if out.enabled:
                    mark = out.packets.to_bytes(4, "big")
                    self._send(out, mark + bytes(70), marker=False, payload_type=111)

    def _video(self) -> None:
        for out in self.outgoing:
            if out.encoder is None:
                continue
            out.timestamp += 90_000 // self._fps
            if not out.enabled:
                continue
            parts = out.encoder.frame()
            for i, part in enumerate(parts):
                self._send(out, part, marker=i == len(parts) - 1, payload_type=96)

    def _send(self, out: Outgoing, payload: bytes, *, marker: bool, payload_type: int) -> None:
        out.sequence = (out.sequence + 1) & 0xFFFF
        out.packets += 1
        out.octets += len(payload)
        out.history.append((out.sequence, out.timestamp, marker, payload, payload_type))
        extensions = self._extensions(out.section.extensions, out, repair=False)
        self.path.upload_rtp(
            rtp_factory.rtp(
                out.ssrc,
                out.sequence,
                out.timestamp & 0xFFFFFFFF,
                payload,
                payload_type=payload_type,
                marker=marker,
                extensions=extensions,
            )
        )

    def _extensions(self, ids: Extensions, out: Outgoing, *, repair: bool) -> dict[int, bytes]:
        self._wide = (self._wide + 1) & 0xFFFF
        found = {ids.transport_cc: self._wide.to_bytes(2, "big"), ids.mid: out.section.mid.encode()}
        if out.encoder is None:
            found[ids.audio_level] = bytes((self.level(),))
        if out.rid:
            found[ids.repaired_rid if repair else ids.rid] = out.rid.encode()
        return {ident: body for ident, body in found.items() if ident is not None}

    def _resend(self, out: Outgoing, sequences: tuple[int, ...]) -> None:
        codec = next(c for c in out.section.codecs if c.payload_type in (96, 111))
        for wanted in sequences:
            for sequence, timestamp, marker, payload, _ in out.history:
                if sequence == wanted and codec.rtx_payload_type is not None:
                    out.rtx_sequence = (out.rtx_sequence + 1) & 0xFFFF
                    out.nacked += 1
                    self.path.upload_rtp(
                        rtp_factory.rtp(
                            out.rtx_ssrc,
                            out.rtx_sequence,
                            timestamp & 0xFFFFFFFF,
                            sequence.to_bytes(2, "big") + payload,
                            payload_type=codec.rtx_payload_type,
                            marker=marker,
                            extensions=self._extensions(out.section.extensions, out, repair=True),
                        )
                    )

    # -- receiving

    def _on_rtp(self, data: bytes) -> None:
        packet = rtp.parse(data)
        assert packet.padding == 0 and packet.payload, "padding reached a viewer"
        incoming = self.incoming.get(packet.ssrc)
        if incoming is not None:
            incoming.take(packet, incoming.extend(packet.sequence), self.clock.now_ns, repair=False)
            return
        incoming = self._repairs[packet.ssrc]
        original = incoming.extend(rtp.original_sequence(packet.payload))
        restored = rtp.RtpPacket(
            packet.payload_type, packet.marker, original & 0xFFFF, packet.timestamp, 0, {}, packet.payload[2:]
        )
        incoming.take(restored, original, self.clock.now_ns, repair=True)

    def _on_rtcp(self, compound: bytes) -> None:
        for packet in rtcp.parse(compound):
            self.feedback.append(packet)
            if isinstance(packet, rtcp.Nack):
                for out in self.outgoing:
                    if out.ssrc == packet.media:
                        self._resend(out, packet.sequences)
            elif isinstance(packet, rtcp.KeyframeRequest):
                for out in self.outgoing:
                    if out.ssrc == packet.media and out.encoder is not None:
                        out.plis += 1
                        out.encoder.key_next = True
            elif isinstance(packet, rtcp.SenderReport) and packet.ssrc in self.incoming:
                self.incoming[packet.ssrc].reports.append(packet)
                self.incoming[packet.ssrc].reported_ns = self.clock.now_ns

    def _repair(self) -> None:
        parts = []
        for incoming in self.incoming.values():
            due = incoming.due_nacks(self.clock.now_ns, self.rtt_ns)
            if due:
                parts.append(rtcp.build_nack(1, incoming.section.ssrc, due))
            if incoming.wants_keyframe(self.clock.now_ns):
                parts.append(rtcp.build_pli(1, incoming.section.ssrc))
        if parts:
            self.path.upload_rtcp(b"".join([rtcp.build_rr(1), *parts]))

    def _report(self) -> None:
        ntp = from_unix_ns(self.clock.now_ns + self._wall_skew_ns)
        reports = [
            rtcp.build_sr(rtcp.SenderReport(o.ssrc, ntp, o.timestamp & 0xFFFFFFFF, o.packets, o.octets))
            for o in self.outgoing
            if o.enabled and o.packets
        ]
        blocks = [block for i in self.incoming.values() if (block := i.block(self.clock.now_ns)) is not None]
        self.path.upload_rtcp(b"".join([*reports, rtcp.build_rr(1, blocks)]))

    def _send_remb(self) -> None:
        if self.remb is not None:
            ssrcs = [ssrc for ssrc, i in self.incoming.items() if i.section.kind is Kind.VIDEO]
            self.path.upload_rtcp(rtcp.build_rr(1) + rtcp.build_remb(1, int(self.remb), ssrcs))
