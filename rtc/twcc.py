"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).

`ArrivalLog` is what a receiver writes down per packet and turns into feedback every 50-100 ms;
`parse_feedback` is the sender's side of the same message.
"""

from dataclasses import dataclass
from struct import Struct

from rtc.errors import ParseError

_fci_head = Struct("!HHI")
_u16 = Struct("!H")
_i16 = Struct("!h")
_DELTA_NS = 250_000
_REFERENCE_NS = 64_000_000
_MAX_LOG = 2048
_MAX_SPAN = 1024  # sequence numbers one message covers; a larger hole restarts the window


@dataclass(frozen=True, slots=True)
class Feedback:
    """`arrivals`: transport-wide sequence -> receiver's clock in us, None = not received."""

    count: int
    arrivals: dict[int, int | None]


class ArrivalLog:
    """Arrivals since the last feedback. Bounded: beyond 2048 unreported packets the oldest are forgotten."""

    __slots__ = ("_base", "_count", "_epoch_ns", "_next", "arrivals")

    def __init__(self) -> None:
        self.arrivals: list[tuple[int, int]] = []  # (16-bit sequence, ns); appended by the hot path
        self._base: int | None = None  # extended sequence of the newest ever reported
        self._next: int | None = None  # first extended sequence not yet reported
        self._count = 0
        self._epoch_ns: int | None = None

    def build(self) -> list[bytes]:
        """The FCI of each feedback message due, clearing the log. Empty when nothing arrived."""
        if not self.arrivals:
            return []
        seen = self._extend(self.arrivals[-_MAX_LOG:])
        self.arrivals.clear()
        first = min(seen)
        if self._next is not None and self._next <= first <= self._next + _MAX_SPAN:
            first = self._next  # report the hole between two messages as lost
        last = max(seen)
        messages = []
        while first <= last:
            messages.append(self._message(seen, first, min(last, first + _MAX_SPAN - 1)))
            first += _MAX_SPAN
        self._next = last + 1 if self._next is None else max(self._next, last + 1)
        return messages

    def _extend(self, arrivals: list[tuple[int, int]]) -> dict[int, int]:
        base = self._base if self._base is not None else arrivals[0][0] + 0x10000
        seen: dict[int, int] = {}
        for sequence, when in arrivals:
            extended = base + ((sequence - base + 0x8000) & 0xFFFF) - 0x8000
            base = max(base, extended)
            seen.setdefault(extended, when)
        self._base = base
        return seen

    def _message(self, seen: dict[int, int], first: int, last: int) -> bytes:
        if self._epoch_ns is None:
            self._epoch_ns = min(seen.values()) - _REFERENCE_NS
        start = min(when for sequence, when in seen.items() if first <= sequence <= last) - self._epoch_ns
        reference = max(0, start // _REFERENCE_NS)
        clock = reference * _REFERENCE_NS // _DELTA_NS
        symbols: list[int] = []
        deltas = bytearray()
        for sequence in range(first, last + 1):
            when = seen.get(sequence)
            if when is None:
                symbols.append(0)
                continue
            ticks = (when - self._epoch_ns) // _DELTA_NS
            delta = max(-32768, min(32767, ticks - clock))
            clock += delta
            if 0 <= delta <= 255:
                symbols.append(1)
                deltas.append(delta)
            else:
                symbols.append(2)
                deltas += _i16.pack(delta)
        head = _fci_head.pack(first & 0xFFFF, len(symbols), (reference & 0xFFFFFF) << 8 | self._count)
        self._count = (self._count + 1) & 0xFF
        body = head + _chunks(symbols) + bytes(deltas)
        return body + bytes(-len(body) % 4)


def _chunks(symbols: list[int]) -> bytes:
    """Run-length chunks for runs of 7 or more, two-bit status vectors otherwise."""
    out = bytearray()
    at = 0
    while at < len(symbols):
        run = 1
        while at + run < len(symbols) and symbols[at + run] == symbols[at] and run < 0x1FFF:
            run += 1
        if run >= 7 or at + run == len(symbols):
            out += _u16.pack(symbols[at] << 13 | run)
            at += run
            continue
        word = 0xC000
        for i, symbol in enumerate(symbols[at : at + 7]):
            word |= symbol << (12 - 2 * i)
        out += _u16.pack(word)
        at += 7
    return bytes(out)


def parse_feedback(fci: bytes) -> Feedback:
    """The sender's reading. ParseError when chunks or deltas are cut short."""
    if len(fci) < 8:
        raise ParseError("short transport-cc feedback")
    base, total, word = _fci_head.unpack_from(fci)
    reference = word >> 8
    symbols: list[int] = []
    at = 8
    while len(symbols) < total:
        if at + 2 > len(fci):
            raise ParseError("transport-cc chunks cut short")
        chunk = _u16.unpack_from(fci, at)[0]
        at += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * min(chunk & 0x1FFF, total - len(symbols))
            if not chunk & 0x1FFF:
                raise ParseError("empty transport-cc run")
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    clock = reference * 64_000
    arrivals: dict[int, int | None] = {}
    for i, symbol in enumerate(symbols[:total]):
        sequence = (base + i) & 0xFFFF
        if symbol not in (1, 2):
            arrivals[sequence] = None
            continue
        if at + symbol > len(fci):
            raise ParseError("transport-cc deltas cut short")
        delta = fci[at] if symbol == 1 else _i16.unpack_from(fci, at)[0]
        at += symbol
        clock += delta * 250
        arrivals[sequence] = clock
    return Feedback(word & 0xFF, arrivals)
