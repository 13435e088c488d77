"""RTP timestamps of one person's streams onto the server's clock, so that lips and voice stay together.

A sender report says "at this moment of the sender's clock the stream stood at this RTP timestamp" (RFC 3550 section
6.4.1). All streams of a person share that sender clock, so mapping each through its own reports puts them in sync
whatever the network did to their packets. One offset per person then leads from the sender's clock to ours. Arrival
times are used only while no report was ever seen.
"""

from collections import deque

_SMOOTH = 0.25  # share of a report's small deviation that is taken over
_JUMP = 0.05  # s: a larger deviation is a new truth, not jitter
_WINDOW = 8  # reports looked at for the person's offset
_STEP = 1.0  # s: the sender's clock was set
_DOWN, _UP = 0.010, 0.002  # s per report: how fast the offset follows


class SenderOffset:
    """server clock - sender clock, in seconds. The least delayed report wins; it creeps, never jumps with jitter."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._recent: deque[float] = deque(maxlen=_WINDOW)

    def report(self, ntp: float, arrival: float) -> None:
        self._recent.append(arrival - ntp)
        target = min(self._recent)
        if self.seconds is None:
            self.seconds = target
            return
        last = list(self._recent)[-3:]
        if len(last) == 3 and all(abs(one - self.seconds) > _STEP for one in last):
            self.seconds = min(last)
            self._recent = deque(last, maxlen=_WINDOW)
            return
        self.seconds += max(-_DOWN, min(_UP, target - self.seconds))


class StreamClock:
    """RTP timestamp -> server time (unix seconds) of one stream."""

    def __init__(self, rate: int, offset: SenderOffset) -> None:
        self._rate = rate
        self._offset = offset
        self._last: int | None = None  # newest extended timestamp
        self._anchor: tuple[int, float] | None = None  # extended timestamp, sender seconds
        self._arrival_base: float | None = None  # least (arrival - timestamp/rate) seen

    @property
    def reported(self) -> bool:
        return self._anchor is not None

    def extend(self, timestamp: int) -> int:
        """The 32-bit timestamp continued past its wraps."""
        if self._last is None:
            self._last = timestamp
            return timestamp
        step = (timestamp - self._last) & 0xFFFFFFFF
        extended = self._last + (step - (1 << 32) if step >= 1 << 31 else step)
        self._last = max(self._last, extended)
        return extended

    def seen(self, extended: int, arrival: float) -> None:
        """A packet came; matters only until the first report."""
        base = arrival - extended / self._rate
        self._arrival_base = base if self._arrival_base is None else min(base, self._arrival_base)

    def report(self, timestamp: int, ntp: float, arrival: float) -> None:
        extended = self.extend(timestamp)
        self._offset.report(ntp, arrival)
        if self._anchor is None:
            self._anchor = (extended, ntp)
            return
        at, base = self._anchor
        expected = base + (extended - at) / self._rate
        error = ntp - expected
        self._anchor = (extended, ntp if abs(error) > _JUMP else expected + error * _SMOOTH)

    def at(self, extended: int) -> float:
        """Server time of a timestamp. Raises ValueError before any packet or report."""
        if self._anchor is not None and self._offset.seconds is not None:
            at, base = self._anchor
            return base + (extended - at) / self._rate + self._offset.seconds
        if self._arrival_base is None:
            raise ValueError("nothing seen yet")
        return self._arrival_base + extended / self._rate
