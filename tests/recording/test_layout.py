"""The layouts of the containers, byte by byte, and what a browser is told of them."""

import io

import av

from recording.containers import Lane, Layout, Sample
from recording.depacketise import VideoShape
from recording.fmp4 import Mp4Writer
from recording.webm import WebmWriter

SHAPE = VideoShape("vp8", 320, 240, "vp8")


def test_mime_is_what_a_source_buffer_wants() -> None:
    h264 = VideoShape("h264", 320, 240, "avc1.42e01f", b"")
    assert Layout(True, SHAPE).mime == 'video/webm; codecs="vp8,opus"'
    assert Layout(False, h264).mime == 'video/mp4; codecs="avc1.42e01f"'
    assert Layout(True, None).mime == 'audio/webm; codecs="opus"'


def test_webm_bytes() -> None:
    """Golden vector: EBML head, Opus track without pre-skip, one cluster of two blocks."""
    writer = WebmWriter(Layout(True, None))
    assert writer.head().hex() == (
        "1a45dfa39f4286810142f7810142f2810442f381084282847765626d42878104428581021853806701ffffffffffffff1549"
        "a9669b2ad7b1830f42404d80876875697a68656e5741876875697a68656e1654ae6bc7aec5d7810273c581028381029c8100"
        "8686415f4f50555363a2934f707573486561640102000080bb000000000056aa810056bb8404c4b400e18db58840e7700000"
        "0000009f8102"
    )  # fmt: skip
    writer.add(Sample(Lane.AUDIO, 40_000, 20_000, b"\xfc\x01", True))
    writer.add(Sample(Lane.AUDIO, 60_000, 20_000, b"\xfc\x02", True))
    assert writer.flush().hex() == "1f43b67593e78128a386820000" + "80fc01" + "a386820014" + "80fc02"
    assert writer.flush() == b""


def test_webm_blocks_never_step_back_and_long_holes_start_a_cluster() -> None:
    writer = WebmWriter(Layout(True, SHAPE))
    out = writer.head()
    for lane, time_us in ((Lane.AUDIO, 40_000), (Lane.VIDEO, 33_000), (Lane.AUDIO, 60_000_000)):
        writer.add(Sample(lane, time_us, 20_000, b"\xfc\1" if lane is Lane.AUDIO else b"\0" * 20, True))
    out += writer.flush()
    with av.open(io.BytesIO(out), "r") as container:
        times = [(p.stream.type, p.pts) for p in container.demux() if p.size]
    assert times == [("audio", 40), ("video", 40), ("audio", 60_000)]


def test_mp4_fragment_states_its_own_time() -> None:
    writer = Mp4Writer(Layout(True, None))
    out = writer.head()
    for time_us in (0, 20_000, 5_000_000, 5_020_000):
        writer.add(Sample(Lane.AUDIO, time_us, 20_000, b"\xfc\xff\xfe", True))
        if time_us in (20_000, 5_020_000):
            out += writer.flush()
    with av.open(io.BytesIO(out), "r") as container:
        packets = [p for p in container.demux() if p.size]
    assert [p.pts for p in packets] == [0, 960, 240_000, 240_960]
    assert packets[-1].duration == 960
