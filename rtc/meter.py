"""A byte rate over the last second or so, from a running total. Pure."""

_S = 1_000_000_000
_INTERVAL_NS = _S // 2


class RateMeter:
    """`update` with the running total of octets; `bps` is smoothed over about a second."""

    __slots__ = ("_ns", "_total", "bps")

    def __init__(self) -> None:
        self.bps = 0.0
        self._total = 0
        self._ns = 0

    def update(self, total: int, now_ns: int) -> None:
        if not self._ns or total < self._total:
            self._ns, self._total = now_ns, total
            return
        passed = now_ns - self._ns
        if passed < _INTERVAL_NS:
            return
        rate = (total - self._total) * 8 * _S / passed
        self.bps = rate if self.bps == 0 else self.bps + 0.6 * (rate - self.bps)
        self._ns, self._total = now_ns, total
