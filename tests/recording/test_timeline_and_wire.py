"""Clocks from sender reports, and the pipe's messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recording.timeline import SenderOffset, StreamClock
from recording.wire import (
    Kind,
    MediaClock,
    MediaPacket,
    MessageReader,
    WireDamaged,
    fields,
    message,
    pack_clock,
    pack_packet,
    unpack_media,
)


def test_streams_of_one_sender_meet_on_one_clock() -> None:
    offset = SenderOffset()
    audio, video = StreamClock(48000, offset), StreamClock(90000, offset)
    # The sender's clock says 5000.0 when ours says 100.0; the video report comes 300 ms late.
    audio.report(480_000, 5000.0, 100.02)
    video.report(7_000, 5000.0, 100.3)
    assert audio.at(480_000 + 48_000) == pytest.approx(video.at(7_000 + 90_000), abs=0.003)
    assert audio.at(480_000) == pytest.approx(100.02, abs=0.003)


def test_timestamps_wrap_and_step_back() -> None:
    clock = StreamClock(90000, SenderOffset())
    assert clock.extend(0xFFFFFFF0) == 0xFFFFFFF0
    assert clock.extend(0x10) == 0x1_0000_0010
    assert clock.extend(0xFFFFFFF8) == 0xFFFFFFF8


def test_arrival_rules_only_until_the_first_report() -> None:
    clock = StreamClock(1000, SenderOffset())
    with pytest.raises(ValueError, match="nothing"):
        clock.at(0)
    clock.seen(clock.extend(0), 10.5)
    clock.seen(clock.extend(1000), 11.2)
    assert clock.at(1000) == pytest.approx(11.2), "the least delayed packet counts"
    clock.report(1000, 77.0, 11.4)
    clock.seen(clock.extend(2000), 19.0)
    assert clock.at(2000) == pytest.approx(12.4)


def test_jitter_of_reports_hardly_shows_and_a_set_clock_does() -> None:
    offset = SenderOffset()
    clock = StreamClock(1000, offset)
    for second in range(20):
        clock.report(
            second * 1000, 500.0 + second + (0.02 if second % 2 else 0.0), 100.0 + second + 0.03 * (second % 3)
        )
    assert clock.at(30_000) == pytest.approx(130.0, abs=0.03)
    for second in range(20, 24):
        clock.report(second * 1000, 9500.0 + second, 100.0 + second)
    assert clock.at(30_000) == pytest.approx(130.0, abs=0.05), (
        "an hour's step of the sender's clock moves nothing of ours"
    )


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.binary(max_size=100)), max_size=10), st.integers(1, 50))
def test_messages_survive_any_splitting(rows: list[tuple[Kind, bytes]], step: int) -> None:
    data = b"".join(message(kind, body) for kind, body in rows)
    reader = MessageReader()
    found = [told for at in range(0, len(data), step) for told in reader.feed(data[at : at + step])]
    assert found == rows


@given(st.binary(max_size=200))
def test_garbage_raises_only_wire_damaged(data: bytes) -> None:
    for read in (lambda: list(MessageReader().feed(data)), lambda: list(unpack_media(data)), lambda: [fields(data)]):
        try:
            read()
        except WireDamaged:
            pass


def test_media_records_come_back() -> None:
    body = pack_packet(3, 1.5, b"rtp") + pack_clock(4, 2.5, 1 << 33 | 7, 99.25)
    assert list(unpack_media(body)) == [MediaPacket(3, 1.5, b"rtp"), MediaClock(4, 2.5, 7, 99.25)]
