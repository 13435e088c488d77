"""When to ask a publisher's layer for a key frame: requests merged, rate-limited, repeated until it comes. Pure."""

_MS = 1_000_000
_APART_NS = 500 * _MS
_NEW_VIEWER_NS = 100 * _MS


class KeyframeRequests:
    """One per layer. `want` may be called as often as anybody likes; `due` says when one request really goes out."""

    __slots__ = ("_fresh", "_last_ns", "pending", "sent")

    def __init__(self) -> None:
        self.pending = False
        self.sent = 0
        self._fresh = False
        self._last_ns: int | None = None

    def want(self, *, new_viewer: bool = False) -> None:
        """Somebody cannot decode. A new viewer may shorten the wait, others join the one under way."""
        self.pending = True
        self._fresh |= new_viewer

    def arrived(self) -> None:
        """A key frame began: everybody is served."""
        self.pending = False
        self._fresh = False

    def due(self, now_ns: int) -> bool:
        """Whether to send one now; the caller sends it."""
        if not self.pending:
            return False
        wait = _NEW_VIEWER_NS if self._fresh else _APART_NS
        if self._last_ns is not None and now_ns - self._last_ns < wait:
            return False
        self._last_ns = now_ns
        self._fresh = False
        self.sent += 1
        return True
