"""WebM writer for live data (RFC 9559 Matroska, WebM subset): VP8 and Opus, one whole cluster per flush.

Clusters have known sizes and every flush ends one, whichever streams are alive, so a file cut off anywhere plays up to
its last flush. The segment element has an unknown size: nothing is ever rewritten.
"""

import struct

from recording.containers import Lane, Layout, Sample, opus_head

_UNKNOWN = b"\x01" + b"\xff" * 7
_NUMBERS = {Lane.VIDEO: 1, Lane.AUDIO: 2}


def _size(value: int) -> bytes:
    """EBML variable-size integer (RFC 8794 section 4)."""
    for width in range(1, 9):
        if value < (1 << 7 * width) - 1:
            return (value | 1 << 7 * width).to_bytes(width, "big")
    raise ValueError("element too large")


def _element(ident: int, data: bytes) -> bytes:
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + _size(len(data)) + data


def _uint(ident: int, value: int) -> bytes:
    return _element(ident, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _text(ident: int, value: str) -> bytes:
    return _element(ident, value.encode())


class WebmWriter:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._blocks: list[tuple[int, Sample]] = []
        self._newest_ms = 0

    def head(self) -> bytes:
        ebml = _element(
            0x1A45DFA3,
            _uint(0x4286, 1) + _uint(0x42F7, 1) + _uint(0x42F2, 4) + _uint(0x42F3, 8)
            + _text(0x4282, "webm") + _uint(0x4287, 4) + _uint(0x4285, 2),
        )  # fmt: skip
        info = _element(0x1549A966, _uint(0x2AD7B1, 1_000_000) + _text(0x4D80, "huizhen") + _text(0x5741, "huizhen"))
        entries = b""
        if self._layout.video is not None:
            shape = self._layout.video
            picture = _element(0xE0, _uint(0xB0, shape.width) + _uint(0xBA, shape.height))
            entries += _element(0xAE, self._entry(Lane.VIDEO, 1) + _text(0x86, "V_VP8") + picture)
        if self._layout.audio:
            sound = _element(0xE1, _element(0xB5, struct.pack(">d", 48000.0)) + _uint(0x9F, 2))
            private = _element(0x63A2, b"OpusHead" + opus_head())
            timing = _uint(0x56AA, 0) + _uint(0x56BB, 80_000_000)
            entries += _element(0xAE, self._entry(Lane.AUDIO, 2) + _text(0x86, "A_OPUS") + private + timing + sound)
        return ebml + (0x18538067).to_bytes(4, "big") + _UNKNOWN + info + _element(0x1654AE6B, entries)

    @staticmethod
    def _entry(lane: Lane, kind: int) -> bytes:
        number = _NUMBERS[lane]
        return _uint(0xD7, number) + _uint(0x73C5, number) + _uint(0x83, kind) + _uint(0x9C, 0)

    def add(self, sample: Sample) -> None:
        # Chromium refuses a block earlier than the one before it in the same cluster, whatever its track.
        self._newest_ms = max(self._newest_ms, round(sample.time_us / 1000))
        self._blocks.append((self._newest_ms, sample))

    def flush(self) -> bytes:
        blocks, self._blocks = self._blocks, []
        out = bytearray()
        while blocks:
            start = blocks[0][0]
            count = next((i for i, (ms, _) in enumerate(blocks) if ms - start > 0x7FFF), len(blocks))
            body = b"".join(
                _element(
                    0xA3,
                    bytes([0x80 | _NUMBERS[sample.lane]])
                    + struct.pack(">hB", ms - start, 0x80 if sample.key else 0)
                    + sample.data,
                )
                for ms, sample in blocks[:count]
            )
            out += _element(0x1F43B675, _uint(0xE7, start) + body)
            blocks = blocks[count:]
        return bytes(out)
