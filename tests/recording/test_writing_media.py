"""From tapped packets to files that play: sync, loss, cuts, codecs, grants. The child runs here, on a fake clock."""

import errno
import io
import random
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pytest

from recording.sealed_file import SealedFile
from recording.segment_file import SegmentFile
from recording.wire import Kind
from rtc.negotiation import Source
from rtc.sink import TapPacket
from tests.recording.child import KEY, START, DrivenChild
from tests.support.av_source import SourcePacket, as_tapped, brightness, flash_and_beep, loudness, onsets


def skews(flashes: list[float], beeps: list[float]) -> list[float]:
    return [min(abs(flash - beep) for beep in beeps) for flash in flashes]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_lips_stay_in_sync_whatever_the_network_does_to_the_packets(tmp_path: Path, codec: str) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    rng = random.Random(3)
    # Video comes 180 ms later than audio, both jitter, and the sender's clock is an hour wrong.
    driven.feed(
        as_tapped(
            flash_and_beep(6.0, codec), "p", start=START, video_delay=0.21, audio_delay=0.03,
            jitter=lambda n: rng.uniform(0, 0.02), sender_clock=3600.0,
        )
    )  # fmt: skip
    driven.stop()
    (report,) = driven.reports
    assert report.sealed
    assert report.mime == (
        'video/webm; codecs="vp8,opus"' if codec == "VP8" else 'video/mp4; codecs="avc1.42c00d,opus"'
    )
    flashes, beeps = onsets(driven.plain(report))
    assert len(flashes) >= 5
    assert len(beeps) >= 5
    assert max(skews(flashes, beeps)) < 0.05
    # On the server's clock too: capture second 1, 2, ... plus the least delay that was seen.
    assert abs((report.started_ms / 1000 + beeps[-1]) % 1.0 - START % 1.0) < 0.06


def test_without_any_sender_report_arrival_is_the_fallback(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    driven.feed(as_tapped(flash_and_beep(6.0), "p", start=START, reports_from=None))
    driven.stop()
    flashes, beeps = onsets(driven.plain(driven.reports[0]))
    assert len(flashes) >= 5
    assert max(skews(flashes, beeps)) < 0.05
    assert driven.reports[0].started_ms <= (START + 0.1) * 1000, "held frames are kept, not dropped"


def test_arrival_alone_would_not_do(tmp_path: Path) -> None:
    """The measure can fail: without sender reports, 180 ms of network difference are 180 ms of bad lips."""
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    driven.feed(as_tapped(flash_and_beep(6.0), "p", start=START, video_delay=0.21, reports_from=None))
    driven.stop()
    assert 0.15 < max(skews(*onsets(driven.plain(driven.reports[0])))) < 0.22


def test_ffprobe_reads_both_containers(tmp_path: Path) -> None:
    for codec, suffix in (("VP8", "webm"), ("H264", "mp4")):
        driven = DrivenChild(tmp_path / codec)
        driven.grant("p")
        driven.feed(as_tapped(flash_and_beep(6.0, codec), "p", start=START))
        driven.stop()
        file = tmp_path / f"plain.{suffix}"
        file.write_bytes(driven.plain(driven.reports[0]))
        try:
            told = subprocess.run(
                ["ffmpeg", "-v", "warning", "-i", str(file), "-f", "null", "-"],
                capture_output=True,
                timeout=60,
                check=True,
            )
        except FileNotFoundError:
            pytest.skip("ffmpeg is not installed")
        assert told.stderr == b""


def test_a_lost_packet_costs_only_what_cannot_be_decoded(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    media = flash_and_beep(6.0, key_every=2.0)
    driven.feed(as_tapped(media, "p", start=START, lose=lambda n, p: p.source is Source.CAMERA and n == 75))
    driven.stop()
    data = driven.plain(driven.reports[0])
    assert driven.count(Kind.KEY_WANTED) >= 1
    times = [at for at, _ in brightness(data)]
    holes = [b - a for a, b in pairwise(times) if b - a > 0.1]
    assert len(holes) == 1, "video stops at the loss and comes back with the next key frame"
    assert holes[0] < 2.1
    with av.open(io.BytesIO(data), "r") as container:
        assert len(list(container.decode(audio=0))) >= 290, "audio goes on"


def test_reordered_and_repeated_packets_change_nothing(tmp_path: Path) -> None:
    media = flash_and_beep(6.0)
    plain = []
    for name, shuffle in (("straight", False), ("shuffled", True)):
        driven = DrivenChild(tmp_path / name)
        driven.grant("p")
        events = list(as_tapped(media, "p", start=START, video_delay=0.1))
        if shuffle:
            rng = random.Random(1)
            rows = sorted(enumerate(events), key=lambda row: row[0] + rng.uniform(0, 6))
            events = [event for _, event in rows for _ in range(rng.choice((1, 1, 2)))]
        driven.feed(events)
        driven.stop()
        plain.append([len(brightness(driven.plain(driven.reports[0]))), len(loudness(driven.plain(driven.reports[0])))])
    assert plain[0] == plain[1]


def test_camera_off_keeps_the_sound_and_camera_on_starts_a_new_segment(tmp_path: Path) -> None:
    media = [p for p in flash_and_beep(12.0, key_every=2.0) if p.source is Source.MICROPHONE or not 3 <= p.capture < 8]
    driven = DrivenChild(tmp_path, target_seconds=5.0)
    driven.grant("p")
    driven.feed(as_tapped(media, "p", start=START))
    driven.stop()
    reports = driven.reports
    assert [("vp8" in r.mime, "opus" in r.mime) for r in reports] == [(True, True), (False, True), (True, True)]
    beeps = sorted(r.started_ms / 1000 + at for r in reports for at in onsets(driven.plain(r))[1])
    seconds = {round(at - START) for at in beeps}
    assert seconds >= set(range(1, 12)), "not one beep is missing while the camera was off"
    ends = [r.started_ms + r.duration_ms for r in reports]
    assert all(abs(after.started_ms - end) < 60 for end, after in zip(ends, reports[1:], strict=False))


def test_segments_are_cut_at_key_frames_and_play_alone(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path, target_seconds=2.0, max_seconds=10.0)
    driven.grant("p")
    driven.feed(as_tapped(flash_and_beep(12.0, key_every=3.0), "p", start=START))
    driven.stop()
    assert [r.number for r in driven.reports] == list(range(len(driven.reports)))
    assert len(driven.reports) >= 3
    for report in driven.reports:
        with av.open(io.BytesIO(driven.plain(report)), "r") as container:
            first = next(packet for packet in container.demux(video=0) if packet.size)
            assert first.is_keyframe
        assert len(brightness(driven.plain(report))) > 20
    assert driven.count(Kind.KEY_WANTED) >= 3
    assert driven.count(Kind.STARTED) == len(driven.reports)


def test_without_key_frames_a_segment_ends_at_its_limit(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path, target_seconds=2.0, max_seconds=4.0)
    driven.grant("p")
    driven.feed(as_tapped(flash_and_beep(12.0, key_every=100.0), "p", start=START))
    driven.stop()
    assert max(r.duration_ms for r in driven.reports) < 4300
    assert sum(r.duration_ms for r in driven.reports) > 11_500, "sound is complete"


def test_no_grant_means_not_one_byte(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path / "spool")
    driven.feed(as_tapped(flash_and_beep(6.0), "p", start=START))
    driven.tap.allow(frozenset({"p"}))  # even when the tap is open, the child refuses
    driven.feed(as_tapped(flash_and_beep(6.0), "p", start=START + 6))
    driven.stop()
    assert list((tmp_path / "spool").iterdir()) == []


def test_only_the_granted_are_written(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    driven.tap.allow(frozenset({"p", "q"}))
    media = flash_and_beep(6.0, None)
    events = [*as_tapped(media, "p", start=START), *as_tapped(media, "q", start=START)]
    driven.feed(sorted(events, key=lambda event: event.arrival))
    driven.stop()
    assert {report.seat_id for report in driven.reports} == {"p"}


def test_a_lapsed_grant_ends_writing_by_itself(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p", seconds=3.0)
    driven.feed(as_tapped(flash_and_beep(6.0), "p", start=START))
    driven.stop()
    assert driven.count(Kind.LAPSED) == 1
    (report,) = driven.reports
    index = SealedFile(tmp_path / report.file, KEY).index
    assert index.sealed
    assert index.clock_ms <= (START + 3.0) * 1000


def test_a_grant_is_never_longer_than_a_minute(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p", seconds=86_400.0)
    driven.advance(START + 58)
    driven.feed(as_tapped(flash_and_beep(6.0, None), "p", start=START + 58))
    assert driven.count(Kind.LAPSED) == 1


def test_falling_below_the_floor_stops_the_recorder(tmp_path: Path) -> None:
    free = [1 << 40]
    driven = DrivenChild(tmp_path, free=lambda folder: free[0], floor=1 << 30)
    driven.grant("p")
    driven.feed(as_tapped(flash_and_beep(6.0, None), "p", start=START))
    free[0] = 1 << 20
    driven.feed(as_tapped(flash_and_beep(6.0, None), "p", start=START + 6))
    assert driven.count(Kind.NO_SPACE) == 1
    (report,) = driven.reports
    assert report.sealed
    assert report.clock_ms <= (START + 7.2) * 1000


def test_a_full_disk_leaves_a_readable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    written = [0]
    make = SegmentFile.__init__

    class Full:
        """A disk with 20 kB left; the write that does not fit is torn."""

        def __init__(self, raw: io.FileIO) -> None:
            self._raw = raw

        def write(self, data: bytes) -> int:
            if written[0] + len(data) > 20_000:
                self._raw.write(data[:7])
                raise OSError(errno.ENOSPC, "full")
            written[0] += len(data)
            return self._raw.write(data) or 0

        def __getattr__(self, name: str) -> object:
            return getattr(self._raw, name)

    def patched(self: SegmentFile, *args: object, **kwargs: object) -> None:
        make(self, *args, **kwargs)  # type: ignore[arg-type]
        self._writer._file = Full(self._raw)  # type: ignore[assignment]

    monkeypatch.setattr(SegmentFile, "__init__", patched)
    driven.feed(as_tapped(flash_and_beep(6.0), "p", start=START))
    assert driven.count(Kind.NO_SPACE) == 1
    (report,) = driven.reports
    assert not report.sealed
    file = SealedFile(tmp_path / report.file, KEY)
    assert not file.index.torn
    assert report.size == (tmp_path / report.file).stat().st_size
    assert len(loudness(file.whole(recovered=True))) > 100


def test_an_unknown_codec_is_said_and_the_voice_is_kept(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    events = [
        replace(e, codec=replace(e.codec, name="AV1")) if isinstance(e, TapPacket) and e.codec.name == "VP8" else e
        for e in as_tapped(flash_and_beep(6.0), "p", start=START)
    ]
    driven.feed(events)
    driven.stop()
    assert driven.count(Kind.UNRECORDABLE) == 1
    assert [r.mime for r in driven.reports] == ['audio/webm; codecs="opus"']


def test_screen_is_a_track_of_its_own(tmp_path: Path) -> None:
    driven = DrivenChild(tmp_path)
    driven.grant("p")
    screen: tuple[SourcePacket, ...] = flash_and_beep(6.0, "VP8", False, 10.0, Source.SCREEN)
    voice = flash_and_beep(6.0, None)
    events = [*as_tapped(voice, "p", start=START), *as_tapped(screen, "p", start=START)]
    driven.feed(sorted(events, key=lambda event: event.arrival))
    driven.stop()
    assert {r.track: r.mime for r in driven.reports} == {
        "av": 'audio/webm; codecs="opus"',
        "screen": 'video/webm; codecs="vp8"',
    }
