"""One person's presence in a room: what they send (`Uplink`), what they see (`Viewer`), the path, the grants.

Closing: `Room.leave` → `close`: producers end (taps told, other viewers' slots emptied) → own consumers stop → the
transport is closed. Idempotent. A transport that fails by itself closes nothing here: the person may come back.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rtc import rtcp
from rtc.errors import ParseError, RoomClosed
from rtc.negotiation import Negotiated, Source
from rtc.ntp import from_unix_ns
from rtc.producer import Producer
from rtc.quality import QualityMark, Signs
from rtc.receive_stream import ReceiveStream
from rtc.stats import ParticipantStats
from rtc.statsview import participant_stats
from rtc.transport import PacketReceiver, TransportState
from rtc.uplink import Uplink
from rtc.viewer import Demand, Viewer

__all__ = ["Demand", "Grants", "MediaPath", "Participant"]

_COMPOUND_LIMIT = 1150  # octets, so that SRTCP over IPv6 and TURN still fits one packet


@dataclass(frozen=True, slots=True)
class Grants:
    """What a participant may do. Restricting takes effect with the next packet."""

    publish: frozenset[Source]
    subscribe: bool
    hidden: frozenset[tuple[str, Source]] = frozenset()  # (participant, source) this one is not shown


class MediaPath(Protocol):
    """What we need of a transport (`rtc.transport.Transport` or the tests' wire)."""

    rtt: float | None
    receiver: PacketReceiver | None

    @property
    def state(self) -> TransportState: ...
    @property
    def silent(self) -> bool: ...
    def send_rtp(self, buffer: bytearray, length: int) -> None: ...
    def send_rtcp(self, compound: bytes) -> None: ...
    def close(self, reason: str) -> None: ...


class ParticipantOwner(Protocol):
    """What a participant asks of its room."""

    closed: bool
    wall_offset_ns: int
    now_ns: int

    def changed(self, participant: "Participant", *, slots: bool = False, fresh: bool = False) -> None:
        """Producers or grants changed; `slots` = tell this viewer's table in any case; `fresh` = a new connection."""

    def on_transport(self, participant: "Participant", state: TransportState) -> None: ...
    def on_clock(self, producer: Producer, stream: ReceiveStream) -> None: ...
    def ended(self, producer: Producer, reason: str) -> None: ...


class Participant:
    """Made by `Room.join`. Implements the transport's PacketReceiver."""

    def __init__(self, participant_id: str, room: ParticipantOwner, grants: Grants, rng: random.Random) -> None:
        self.id = participant_id
        self.room = room
        self.grants = grants
        self.transport: MediaPath | None = None
        self.rtcp_malformed = 0
        self.closed = False
        self.quality = QualityMark()
        self.uplink = Uplink(participant_id, rng.randrange(1, 1 << 32), self._on_started)
        self.viewer = Viewer(rng)
        self._paused: set[Source] = set()

    # -- the public face

    def bind(self, transport: MediaPath, negotiated: Negotiated, now_ns: int) -> None:
        """After each offer/answer. Another transport than before replaces it: streams are learnt again, slots kept."""
        if self.closed:
            raise RoomClosed(self.id)
        fresh = transport is not self.transport
        former = self.transport
        self.transport = transport
        transport.receiver = self
        if fresh and former is not None:
            former.receiver = None
            former.close("replaced")
        ended = self.uplink.bind(negotiated.publish, self.grants.publish, fresh=fresh)
        for source in self._paused:
            if source in self.uplink.producers:
                self.uplink.producers[source].allow(paused=True)
        self.viewer.bind(negotiated.receive, transport.send_rtp, fresh=fresh)
        self.viewer.connected = transport.state is TransportState.CONNECTED
        for producer in ended:
            self.room.ended(producer, "unpublished")
        if fresh:
            for producer in self.uplink.producers.values():
                producer.told_live = False  # the end of the former transport was told: say it again
        self.room.changed(self, slots=True, fresh=fresh)

    def set_grants(self, grants: Grants) -> None:
        """Restricting takes effect with the next packet."""
        self.grants = grants
        self.uplink.grant(grants.publish)
        self.room.changed(self)

    def set_paused(self, source: Source, paused: bool) -> None:
        """A mute: nothing of it is taken meanwhile, nothing is repaired, nobody is alarmed."""
        if paused:
            self._paused.add(source)
        else:
            self._paused.discard(source)
        producer = self.uplink.producers.get(source)
        if producer is not None:
            producer.allow(paused=paused)
            if not paused:
                for layer in producer.layers:
                    producer.want_keyframe(layer.stream if layer.stream and layer.stream.sinks else None)

    def view(self, demands: Sequence[Demand]) -> None:
        """What the page shows, in device pixels. Nothing demanded of a video = it is not sent."""
        self.viewer.view(demands)
        self.viewer.allocate(self.room.now_ns)

    def stats(self) -> ParticipantStats:
        return participant_stats(self.uplink, self.viewer, self.room.now_ns)

    def close(self, reason: str) -> None:
        """Called by the room. Idempotent."""
        if self.closed:
            return
        self.closed = True
        for producer in self.uplink.bind((), (), fresh=True):
            self.room.ended(producer, reason)
        self.viewer.close()
        if self.transport is not None:
            self.transport.receiver = None
            self.transport.close(reason)

    # -- PacketReceiver

    def on_rtp(self, packet: memoryview, now_ns: int) -> None:
        self.uplink.path.receive(packet, now_ns)

    def on_rtcp(self, compound: bytes, now_ns: int) -> None:
        try:
            packets = rtcp.parse(compound)
        except ParseError:
            self.rtcp_malformed += 1
            return
        for packet in packets:
            self._on_rtcp_packet(packet, now_ns)

    def on_transport(self, state: TransportState, now_ns: int) -> None:
        self.viewer.connected = state is TransportState.CONNECTED
        self.viewer.allocate(now_ns)
        self.room.on_transport(self, state)

    # -- inside

    def _on_rtcp_packet(self, packet: rtcp.Packet, now_ns: int) -> None:
        match packet:
            case rtcp.ReceiverReport():
                self._on_blocks(packet.blocks, now_ns)
            case rtcp.SenderReport():
                our_ntp = from_unix_ns(now_ns + self.room.wall_offset_ns)
                found = self.uplink.on_sender_report(packet, our_ntp, now_ns)
                if found is not None:
                    self.room.on_clock(*found)
                self._on_blocks(packet.blocks, now_ns)
            case rtcp.Nack():
                self.viewer.on_nack(packet, now_ns)
            case rtcp.KeyframeRequest():
                self.viewer.on_keyframe_request(packet)
            case rtcp.Remb():
                self.viewer.on_remb(packet, now_ns)
            case rtcp.TransportFeedback():
                self.viewer.on_transport_feedback(packet, now_ns)
            case rtcp.Bye():
                self.uplink.on_bye(packet.ssrcs)

    def _on_blocks(self, blocks: Sequence[rtcp.ReportBlock], now_ns: int) -> None:
        if not blocks:
            return
        self.viewer.on_report(blocks, now_ns)
        self.uplink.rtt_ns = self.viewer.rtt_ns
        if self.transport is not None and self.viewer.rtt_ns is not None:
            self.transport.rtt = self.viewer.rtt_ns / 1e9

    def _on_started(self, producer: Producer, now_ns: int) -> None:
        self.room.now_ns = max(self.room.now_ns, now_ns)
        self.room.changed(self)

    # -- time, called by the room

    def tick(self, now_ns: int) -> None:
        """Feedback to the publisher, sender reports to the viewer."""
        if self.transport is None or self.transport.state is not TransportState.CONNECTED:
            return
        self._send(self.uplink.tick(now_ns))
        reports, _ = self.viewer.tick(now_ns)
        if reports:
            cname = self.viewer.consumers[next(iter(self.viewer.consumers))].section.cname
            self._send([rtcp.build_sr(report) for report in reports], tail=rtcp.build_sdes(reports[0].ssrc, cname))

    def flush_keyframe_requests(self, now_ns: int) -> None:
        """At once instead of with the next tick: somebody waits for their first picture."""
        parts = self.uplink.keyframe_requests(now_ns)
        if parts:
            self._send([rtcp.build_rr(self.uplink.rtcp_ssrc), *parts])

    def signs(self) -> Signs:
        """What the quality mark is judged by."""
        path = self.transport
        connected = path is not None and path.state is TransportState.CONNECTED
        return Signs(
            connected=connected,
            silent=connected and path is not None and path.silent,
            uplink_loss=self.uplink.loss,
            downlink_loss=self.viewer.downlink.loss,
            rtt_s=self.viewer.rtt_ns / 1e9 if self.viewer.rtt_ns is not None else None,
            video_off_reason=self.viewer.video_off_reason,
        )

    def _send(self, parts: list[bytes], tail: bytes = b"") -> None:
        """As few compounds as fit the size; each starts with a report (RFC 3550 section 6.1)."""
        if not parts or self.transport is None:
            return
        compound = b""
        for part in parts:
            if compound and len(compound) + len(part) > _COMPOUND_LIMIT:
                self.transport.send_rtcp(compound)
                compound = b"" if part[1] in (rtcp.SR, rtcp.RR) else rtcp.build_rr(self.uplink.rtcp_ssrc)
            compound += part
        self.transport.send_rtcp(compound + tail)
