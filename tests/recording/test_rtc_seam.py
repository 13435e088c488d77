"""The real room is a room for the recorder, and the recorder's tap a tap for it (checked by mypy and here)."""

from recording.ports import TappedRoom
from recording.tap import Door, RecordingTap
from recording.wire import Kind
from rtc.negotiation import Codec, Source
from rtc.room import Room
from rtc.sink import Tap, TapClock, TapPacket


def test_types_fit() -> None:
    def as_room(room: Room) -> TappedRoom:
        return room

    tap: Tap = RecordingTap(lambda kind, body: None)
    assert as_room is not None
    assert not tap.wants("p", Source.CAMERA), "closed until granted"


def packet(seat: str = "p", codec: str = "opus") -> TapPacket:
    return TapPacket(seat, Source.MICROPHONE, Codec(codec, 111, 48000, 2), b"rtp", 1.0)


def test_nothing_passes_a_shut_tap_and_held_packets_wait_for_the_verdict() -> None:
    tap = RecordingTap(lambda kind, body: None)
    tap.write(packet())
    assert tap.take() == b""
    tap.allow(frozenset({"p"}))
    tap.write(packet())
    tap.write(packet("stranger"))
    assert len(tap.take()) == 13 + 3
    tap.hold()
    tap.write(packet())
    assert tap.take() == b"", "held"
    tap.allow(frozenset({"p", "q"}))
    assert len(tap.take()) == 16, "the newcomer was permitted: nothing is lost"
    tap.hold()
    tap.write(packet())
    tap.shut()
    tap.allow(frozenset({"p"}))
    assert tap.take() == b"", "the newcomer was not: nothing of the doubt is written"
    assert tap.door is Door.OPEN


def test_streams_are_told_before_their_packets_with_their_clock_and_again_to_a_new_child() -> None:
    told: list[tuple[Kind, int]] = []
    tap = RecordingTap(lambda kind, body: told.append((kind, body["id"])))
    tap.allow(frozenset({"p"}))
    tap.clock(TapClock("p", Source.MICROPHONE, 5, 99.0, 1.0))
    tap.write(packet())
    tap.write(packet(codec="PCMU"))
    assert told == [(Kind.STREAM, 1), (Kind.ENDED, 1), (Kind.STREAM, 2)]
    told.clear()
    tap.introduce()
    assert told == [(Kind.STREAM, 2)]
    tap.ended("p", Source.MICROPHONE, "left")
    assert told[-1] == (Kind.ENDED, 2)


def test_a_full_batch_drops_and_counts() -> None:
    tap = RecordingTap(lambda kind, body: None)
    tap.allow(frozenset({"p"}))
    big = TapPacket("p", Source.MICROPHONE, Codec("opus", 111, 48000, 2), bytes(60_000), 1.0)
    for _ in range(80):
        tap.write(big)
    assert tap.dropped > 0
    assert len(tap.take()) <= 4 * 1024 * 1024
