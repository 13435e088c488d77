"""Makes huizhen/demo_media/*.clip: a few seconds of coded picture and sound for the demo's consult of the past.

    python -m tests.support.make_demo_media

A clip is what a recorder would have received: VP8 frames (the first a key frame) and Opus frames with their times, so
that the demo writes its recording with the product's own writer. No person is shown: a moving disc and a soft tone.
"""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from huizhen.demo_media import Clip, Frame

SECONDS, FPS, WIDTH, HEIGHT, RATE = 4, 8, 320, 240, 48_000
FOLDER = Path(__file__).parents[2] / "huizhen" / "demo_media"


def picture(number: int, hue: tuple[int, int]) -> av.VideoFrame:
    """A disc on a plain ground, one turn per clip (so that it loops without a jump)."""
    angle = 2 * math.pi * number / (SECONDS * FPS)
    cx, cy = WIDTH / 2 + 80 * math.cos(angle), HEIGHT / 2 + 50 * math.sin(angle)
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    luma, cb, cr = frame.planes
    rows = bytearray()
    for y in range(HEIGHT):
        row = bytearray([60]) * luma.line_size
        for x in range(WIDTH):
            if (x - cx) ** 2 + (y - cy) ** 2 < 45**2:
                row[x] = 190
        rows += row
    luma.update(bytes(rows))
    cb.update(bytes([hue[0]]) * cb.buffer_size)
    cr.update(bytes([hue[1]]) * cr.buffer_size)
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def video(hue: tuple[int, int]) -> list[Frame]:
    coder: Any = av.CodecContext.create("libvpx", "w")
    coder.width, coder.height, coder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    coder.time_base, coder.bit_rate = Fraction(1, FPS), 60_000
    coder.options = {"deadline": "good", "lag-in-frames": "0", "auto-alt-ref": "0", "error-resilient": "default"}
    packets = []
    for number in range(SECONDS * FPS):
        packets += coder.encode(picture(number, hue))
    packets += coder.encode(None)
    step = 1_000_000 // FPS
    return [Frame("video", bool(p.is_keyframe), int(p.pts) * step, step, bytes(p)) for p in packets]


def sound(tone: float) -> list[Frame]:
    coder: Any = av.CodecContext.create("libopus", "w")
    coder.sample_rate, coder.layout, coder.format, coder.bit_rate = RATE, "mono", "s16", 16_000
    coder.time_base = Fraction(1, RATE)
    packets = []
    for number in range(SECONDS * 50):
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        samples = bytearray()
        for i in range(960):
            at = (number * 960 + i) / RATE
            loud = 1500 * (0.5 - 0.5 * math.cos(2 * math.pi * at))  # swells once a second
            samples += int(loud * math.sin(2 * math.pi * tone * at)).to_bytes(2, "little", signed=True)
        frame.planes[0].update(bytes(samples))
        frame.sample_rate, frame.pts, frame.time_base = RATE, number * 960, Fraction(1, RATE)
        packets += coder.encode(frame)
    packets += coder.encode(None)
    kept = [bytes(packet) for packet in packets][: SECONDS * 50]
    return [Frame("audio", True, index * 20_000, 20_000, data) for index, data in enumerate(kept)]


def main() -> None:
    for name, hue, tone in (("doctor", (140, 100), 220.0), ("patient", (110, 150), 330.0)):
        frames = sorted((*video(hue), *sound(tone)), key=lambda frame: (frame.time_us, frame.lane))
        data = Clip(tuple(frames), SECONDS * 1_000_000).encode()
        (FOLDER / f"{name}.clip").write_bytes(data)
        print(name, len(data), "bytes")


if __name__ == "__main__":
    main()
