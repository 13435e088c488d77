"""What one participant sends us: SSRCs learnt, grants enforced, and the feedback it gets for it."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from rtc import rtp
from rtc.bandwidth import UplinkCap
from rtc.errors import ParseError
from rtc.ingress import IngressPath, Repair
from rtc.negotiation import PublishSection, Source
from rtc.ntp import SenderClock
from rtc.producer import Producer
from rtc.receive_stream import ReceiveStream
from rtc.rtcp import (
    ReportBlock,
    SenderReport,
    build_nack,
    build_remb,
    build_rr,
    build_sdes,
    build_transport_feedback,
)
from rtc.sink import Sink

_MS = 1_000_000
_FEEDBACK_NS = 60 * _MS
_REPORT_NS = 1000 * _MS
_DEFAULT_RTT_NS = 100 * _MS
_TAKEOVER_NS = 300 * _MS  # another SSRC may claim a layer only after this much silence of the former

Started = Callable[[Producer, int], None]


@dataclass(frozen=True, slots=True)
class _Announced:
    producer: Producer
    layer: int
    repairs: bool


class Uplink:
    """`started` is called when a layer's first packet has named its SSRC, before that packet is forwarded."""

    def __init__(self, participant_id: str, rtcp_ssrc: int, started: Started) -> None:
        self.participant_id = participant_id
        self.rtcp_ssrc = rtcp_ssrc
        self.producers: dict[Source, Producer] = {}
        self.clock = SenderClock()
        self.loss = 0.0
        self.rtt_ns: int | None = None
        self._started = started
        self._path = IngressPath(self._learn)
        self._announced: dict[int, _Announced] = {}
        self._by_mid: dict[str, Producer] = {}
        self._cap = UplinkCap()
        self._feedback_ns = self._report_ns = 0

    @property
    def path(self) -> IngressPath:
        return self._path

    def bind(self, sections: Collection[PublishSection], granted: Collection[Source], *, fresh: bool) -> list[Producer]:
        """A negotiation; `fresh` = over another transport. The producers that ended with it."""
        if fresh:
            self._path = IngressPath(self._learn)
            self.clock = SenderClock()
        by_source = {section.source: section for section in sections}
        ended = [producer for source, producer in self.producers.items() if source not in by_source]
        for producer in ended:
            self._drop(producer)
        for source, section in by_source.items():
            existing = self.producers.get(source)
            if existing is None:
                existing = self.producers[source] = Producer(self.participant_id, section, self.clock)
                existing.allow(granted=source in granted)
                continue
            if fresh or existing.section.rids != section.rids:
                self._forget(existing)
            existing.clock = self.clock
            existing.negotiate(section)
        self._index()
        return ended

    def _drop(self, producer: Producer) -> None:
        self._forget(producer)
        del self.producers[producer.source]

    def _forget(self, producer: Producer) -> None:
        gone = [ssrc for ssrc, row in self._path.streams.items() if _belongs(row, producer)]
        for ssrc in gone:
            del self._path.streams[ssrc]
        producer.forget_streams()

    def _index(self) -> None:
        self._announced.clear()
        self._by_mid = {producer.section.mid: producer for producer in self.producers.values()}
        for producer in self.producers.values():
            ids, section = producer.section.extensions, producer.section
            self._path.transport_cc_id = ids.transport_cc or self._path.transport_cc_id
            self._path.audio_level_id = ids.audio_level or self._path.audio_level_id
            if section.rids:
                continue  # simulcast by rid: SSRCs are learnt
            if section.ssrcs:
                self._announced[section.ssrcs[0]] = _Announced(producer, 0, repairs=False)
            if section.rtx_ssrcs:
                self._announced[section.rtx_ssrcs[0]] = _Announced(producer, 0, repairs=True)

    # -- learning SSRCs

    def _learn(self, ssrc: int, packet: memoryview, end: int, now_ns: int) -> ReceiveStream | Repair | None:
        known = self._announced.get(ssrc)
        if known is None:
            known = self._identify(packet, end)
        if known is None:
            return None
        if known.repairs:
            return self._adopt_repair(known, ssrc)
        return self._adopt(known, ssrc, packet[1] & 0x7F, now_ns)

    def _identify(self, packet: memoryview, end: int) -> _Announced | None:
        """By mid, then rid or repaired-rid (RFC 8843, RFC 8852); by payload type where nothing else can be."""
        try:
            found = rtp.elements(packet, end)
        except ParseError:
            return None
        payload_type = packet[1] & 0x7F
        for producer in self.producers.values():
            section, ids = producer.section, producer.section.extensions
            mid = rtp.text_element(found, ids.mid)
            if mid is not None and mid != section.mid:
                continue
            if section.rids:
                rid, repaired = rtp.text_element(found, ids.rid), rtp.text_element(found, ids.repaired_rid)
                name = repaired or rid
                if name in section.rids:
                    return _Announced(producer, section.rids.index(name), repairs=repaired is not None)
                continue
            repairs = payload_type in {codec.rtx_payload_type for codec in section.codecs}
            if not repairs and payload_type not in {codec.payload_type for codec in section.codecs}:
                continue
            if mid is not None or (not section.ssrcs and self._only_taker(producer, payload_type)):
                return _Announced(producer, 0, repairs=repairs)
        return None

    def _only_taker(self, producer: Producer, payload_type: int) -> bool:
        """No other section could have sent this payload type."""
        return all(
            other is producer
            or payload_type not in {pt for c in other.section.codecs for pt in (c.payload_type, c.rtx_payload_type)}
            for other in self.producers.values()
        )

    def _adopt(self, known: _Announced, ssrc: int, payload_type: int, now_ns: int) -> ReceiveStream | None:
        producer = known.producer
        if payload_type not in {codec.payload_type for codec in producer.section.codecs}:
            return None
        sinks: list[Sink] = []
        former = producer.layers[known.layer].stream
        if former is not None:
            if now_ns - former.last_ns < _TAKEOVER_NS:
                return None
            self._path.streams.pop(former.ssrc, None)
            sinks, former.sinks = former.sinks, []
        stream = producer.make_stream(known.layer, ssrc, now_ns)
        stream.sinks = sinks
        self._path.streams[ssrc] = stream
        repair = producer.layers[known.layer].repair
        if repair is not None:
            repair.stream = stream
        self._started(producer, now_ns)
        return stream

    def _adopt_repair(self, known: _Announced, ssrc: int) -> Repair | None:
        layer = known.producer.layers[known.layer]
        if layer.stream is None:
            return None
        codecs = known.producer.section.codecs
        types = {c.rtx_payload_type: c.payload_type for c in codecs if c.rtx_payload_type is not None}
        if layer.repair is not None:
            self._path.streams.pop(layer.repair.ssrc, None)
        layer.repair = Repair(ssrc, layer.stream, types)
        return layer.repair

    # -- grants

    def grant(self, sources: Collection[Source]) -> None:
        for source, producer in self.producers.items():
            producer.allow(granted=source in sources)

    # -- feedback

    def streams(self) -> Iterable[tuple[Producer, ReceiveStream]]:
        for producer in self.producers.values():
            for layer in producer.layers:
                if layer.stream is not None:
                    yield producer, layer.stream

    def on_sender_report(
        self, report: SenderReport, our_ntp: int, now_ns: int
    ) -> tuple[Producer, ReceiveStream] | None:
        """The stream it belongs to; None for streams we do not know."""
        for producer, stream in self.streams():
            if stream.ssrc == report.ssrc:
                stream.on_sender_report(report.ntp, report.rtp, now_ns)
                self.clock.observe(report.ntp, our_ntp)
                return producer, stream
        return None

    def on_bye(self, ssrcs: Iterable[int]) -> None:
        """A sender that says goodbye may come back under another SSRC at once."""
        for ssrc in ssrcs:
            row = self._path.streams.get(ssrc)
            if isinstance(row, ReceiveStream):
                row.last_ns = 0

    def keyframe_requests(self, now_ns: int) -> list[bytes]:
        return [packet for p in self.producers.values() for packet in p.due_requests(self.rtcp_ssrc, now_ns)]

    def tick(self, now_ns: int) -> list[bytes]:
        """One compound's packets, RR first; empty when nothing is due."""
        rtt_ns = self.rtt_ns or _DEFAULT_RTT_NS
        parts: list[bytes] = []
        for _, stream in self.streams():
            if stream.missing and not stream.blocked:
                due = stream.due_nacks(now_ns, rtt_ns)
                if due and stream.sinks:  # a layer nobody watches is not worth the publisher's uplink
                    parts.append(build_nack(self.rtcp_ssrc, stream.ssrc, due))
        for producer in self.producers.values():
            producer.refresh(now_ns)
            parts.extend(producer.due_requests(self.rtcp_ssrc, now_ns))
        if now_ns - self._feedback_ns >= _FEEDBACK_NS and self._path.arrivals.arrivals:
            self._feedback_ns = now_ns
            media = next(iter(self._path.streams), 0)
            parts += [build_transport_feedback(self.rtcp_ssrc, media, fci) for fci in self._path.arrivals.build()]
        if now_ns - self._report_ns >= _REPORT_NS:
            self._report_ns = now_ns
            return self._reports(now_ns) + parts
        return [build_rr(self.rtcp_ssrc), *parts] if parts else []

    def _reports(self, now_ns: int) -> list[bytes]:
        blocks: list[ReportBlock] = []
        expected = lost = 0.0
        for _, stream in self.streams():
            if stream.high < 0 or stream.blocked:
                continue
            before = stream.prior_expected
            blocks.append(stream.report(now_ns))
            weight = max(0, stream.prior_expected - before)
            expected += weight
            lost += weight * stream.report_loss
        fraction = lost / expected if expected else 0.0
        if expected >= 5:
            self.loss += 0.4 * (fraction - self.loss)
        parts = [build_rr(self.rtcp_ssrc, blocks[:31]), build_sdes(self.rtcp_ssrc, self.participant_id[:16])]
        capped = [s.ssrc for p, s in self.streams() if _wants_remb(p)]
        if capped:
            parts.append(build_remb(self.rtcp_ssrc, int(self._cap.on_loss(fraction)), capped[:16]))
        return parts


def _wants_remb(producer: Producer) -> bool:
    """REMB only where the sender gets no transport-wide feedback: two estimators would fight."""
    return producer.section.extensions.transport_cc is None and any(
        "goog-remb" in codec.feedback for codec in producer.section.codecs
    )


def _stream_of(row: ReceiveStream | Repair) -> ReceiveStream:
    return row.stream if isinstance(row, Repair) else row


def _belongs(row: ReceiveStream | Repair, producer: Producer) -> bool:
    return any(layer.stream is _stream_of(row) for layer in producer.layers)
