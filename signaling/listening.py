"""Further ears in a room (a transcriber): attached only through the consent gate, shut the moment it no longer holds.

There is no transcriber in this version. Whoever writes one attaches its Tap here; nothing else hands out packets.
"""

from consent import gate
from consent.errors import TranscriptionNotPermitted
from rtc.negotiation import Kind, Source
from rtc.sink import Tap, TapClock, TapPacket
from signaling import panel_state
from signaling.live import Live
from signaling.room import LiveRoom


class GatedTap:
    """Hands on the voices of exactly those who may be heard now. Implements rtc.sink.Tap."""

    def __init__(self, inner: Tap) -> None:
        self._inner = inner
        self.heard: frozenset[str] = frozenset()

    def wants(self, participant_id: str, source: Source) -> bool:
        voice = source.kind is Kind.AUDIO
        return voice and participant_id in self.heard and self._inner.wants(participant_id, source)

    def write(self, packet: TapPacket) -> None:
        if packet.participant_id in self.heard:
            self._inner.write(packet)

    def clock(self, report: TapClock) -> None:
        if report.participant_id in self.heard:
            self._inner.clock(report)

    def ended(self, participant_id: str, source: Source, reason: str) -> None:
        self._inner.ended(participant_id, source, reason)


def attach_transcriber(live: Live, room: LiveRoom, tap: Tap) -> GatedTap:
    """Listen from now on, for as long as everybody present permits it. Raises TranscriptionNotPermitted."""
    heard = _permitted(live, room)
    media = live.media_room(room)
    gated = GatedTap(tap)
    room.ears.append(gated)
    gated.heard = heard
    if media is not None:
        media.attach(gated)
    return gated


def detach_transcriber(live: Live, room: LiveRoom, gated: GatedTap) -> None:
    """Idempotent."""
    gated.heard = frozenset()
    if gated in room.ears:
        room.ears.remove(gated)
    media = live.media_room(room)
    if media is not None:
        media.detach(gated)


def shut(room: LiveRoom) -> None:
    """Not one packet more, before anything is awaited; `judge` opens again what the ledger allows."""
    for gated in room.ears:
        gated.heard = frozenset()


def judge(live: Live, room: LiveRoom) -> None:
    """After a commit: who may be heard now."""
    if not room.ears:
        return
    try:
        heard = frozenset[str]() if room.ended else _permitted(live, room)
    except TranscriptionNotPermitted:
        heard = frozenset()
    for gated in room.ears:
        gated.heard = heard
    media = live.media_room(room)
    if media is not None:
        media.refresh_taps()


def _permitted(live: Live, room: LiveRoom) -> frozenset[str]:
    present = [room.seats[seat_id] for seat_id in room.present]
    if room.consult.id in live.withdrawing or room.asked_pauses or room.veils:
        raise TranscriptionNotPermitted(("rec.transcription_person",))
    heard = gate.may_transcribe(room.consult, present, room.records, beside=room.companions, now=live.clock())
    return heard - panel_state.aside(room).keys()
