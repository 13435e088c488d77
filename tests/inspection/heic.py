"""A photo as newer phones take it: one HEVC picture in a HEIF container, made with the encoder PyAV brings.

python -m tests.inspection.heic      writes photo.heic anew
"""

import io
import struct
from pathlib import Path

import av
from PIL import Image

PHOTO = Path(__file__).with_name("photo.heic")


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def full(name: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags), *parts)


def _encoded(width: int, height: int) -> tuple[bytes, bytes]:
    """The decoder's configuration box and the coded picture, out of an MP4 of one frame."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx265", rate=1, options={"x265-params": "log-level=none", "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
        frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    data = target.getvalue()
    at = data.index(b"hvcC") - 4
    (size,) = struct.unpack_from(">I", data, at)
    mdat = data.index(b"mdat") - 4
    (length,) = struct.unpack_from(">I", data, mdat)
    return data[at : at + size], data[mdat + 8 : mdat + length]


def heic(width: int = 320, height: int = 240) -> bytes:
    """ISO/IEC 23008-12, as little of it as a picture needs."""
    config, coded = _encoded(width, height)
    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")

    def meta(offset: int) -> bytes:
        size = full(b"ispe", struct.pack(">II", width, height))
        item = full(b"infe", struct.pack(">HH", 1, 0), b"hvc1\x00", version=2)
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(coded))),
            full(b"iinf", struct.pack(">H", 1), item),
            box(b"iprp", box(b"ipco", config, size), full(b"ipma", struct.pack(">IHBBB", 1, 1, 2, 0x81, 0x02))),
        )

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", coded)


if __name__ == "__main__":
    PHOTO.write_bytes(heic())
