"""NTP timestamps (RFC 3550 section 4), and one sender's NTP clock seen from ours."""

_UNIX_EPOCH = 2_208_988_800
_S = 1_000_000_000
_STEP = 1 << 32  # one second in NTP units


def from_unix_ns(unix_ns: int) -> int:
    """64-bit NTP of a unix time in ns."""
    return (unix_ns // _S + _UNIX_EPOCH) << 32 | (unix_ns % _S << 32) // _S


def to_unix(ntp: int) -> float:
    """Unix seconds of a 64-bit NTP timestamp."""
    return ntp / _STEP - _UNIX_EPOCH


class SenderClock:
    """Puts one sender's NTP on our clock by a constant offset, so that viewers see one clock across slot re-maps.

    The offset is fixed by the first report and shared by all streams of the sender: audio and video keep their exact
    relation. It is renewed only after the sender's clock was set anew (more than two seconds off).
    """

    __slots__ = ("offset",)

    def __init__(self) -> None:
        self.offset: int | None = None

    def observe(self, ntp: int, our_ntp: int) -> None:
        if self.offset is None or abs(ntp + self.offset - our_ntp) > 2 * _STEP:
            self.offset = our_ntp - ntp
