"""One incoming SSRC: extended sequence numbers, what is missing, loss and jitter for receiver reports.

Pure: packets and `now_ns` in, sequence numbers to NACK out. The hot path (`rtc.ingress`) works on the attributes of
this class directly; everything that is not per packet is a method.
"""

from collections.abc import Mapping

from rtc.cache import PacketCache
from rtc.keyframes import Inspect
from rtc.negotiation import Kind
from rtc.rtcp import ReportBlock
from rtc.sink import Sink

_MS = 1_000_000
_MAX_MISSING = 512  # sequence numbers we are willing to chase at once
_EARLY = 16  # packets of the first frame that may have been overtaken by the first we saw
_EARLY_NS = 300 * _MS
_RESTART_GAP = 3000  # a jump beyond this is a new numbering, not loss (RFC 3550 appendix A.1, MAX_DROPOUT)
_REORDER_NS = 4 * _MS  # do not ask for what is probably only out of order
_MIN_RETRY_NS = 20 * _MS
_MAX_RETRY_NS = 400 * _MS
_MAX_TRIES = {Kind.AUDIO: 6, Kind.VIDEO: 12}
_MAX_AGE_NS = {Kind.AUDIO: 400 * _MS, Kind.VIDEO: 1500 * _MS}
_CACHE_SIZE = {Kind.AUDIO: 128, Kind.VIDEO: 512}


class Missing:
    """A sequence number that has not come: seen missing at, asked for last at (0 = never), times asked.

    `early`: before the first packet we saw. It may have been overtaken, or may never have existed: waited for, not
    asked for.
    """

    __slots__ = ("asked_ns", "early", "since_ns", "tries")

    def __init__(self, since_ns: int, *, early: bool = False) -> None:
        self.since_ns = since_ns
        self.early = early
        self.asked_ns = 0
        self.tries = 0


class ReceiveStream:
    """A row of the core's stream table. `formats` maps payload types to the codec's key frame inspector.

    `sinks` are told every accepted packet. `blocked` (not granted, or silenced) drops before anything is counted as
    media; unblocking goes through `restart`, so that the silence is not taken for loss.
    """

    __slots__ = (
        "base",
        "blocked",
        "bytes",
        "cache",
        "clock_rate",
        "duplicates",
        "formats",
        "fresh",
        "given_up",
        "high",
        "jitter",
        "key",
        "key_ns",
        "key_number",
        "keyframes",
        "kind",
        "last_level",
        "last_ns",
        "last_sr",
        "last_sr_ns",
        "malformed",
        "missing",
        "origin",
        "owner",
        "packets",
        "prior_expected",
        "prior_received",
        "recovered",
        "red_payload_type",
        "refused",
        "report_loss",
        "sinks",
        "ssrc",
        "ticks_per_ns",
        "timestamp",
        "transit",
        "wants_nack",
    )

    def __init__(
        self,
        ssrc: int,
        kind: Kind,
        clock_rate: int,
        formats: Mapping[int, Inspect],
        *,
        wants_nack: bool,
        owner: str = "",
        red_payload_type: int | None = None,
    ) -> None:
        self.ssrc = ssrc
        self.kind = kind
        self.clock_rate = clock_rate
        self.ticks_per_ns = clock_rate / 1e9
        self.formats = formats
        self.wants_nack = wants_nack
        self.owner = owner  # participant: streams of one owner share an NTP clock
        self.red_payload_type = red_payload_type
        self.sinks: list[Sink] = []
        self.cache = PacketCache(_CACHE_SIZE[kind])
        self.blocked = False
        self.fresh = True  # the next packet begins a numbering
        self.high = -1  # extended sequence of the newest packet
        self.base = 0  # first extended sequence of this numbering, and the packets counted before it
        self.origin = 0
        self.missing: dict[int, Missing] = {}
        self.given_up = 0  # unrecovered packets since the start
        self.packets = self.bytes = self.recovered = self.duplicates = 0
        self.refused = self.malformed = self.keyframes = 0
        self.last_ns = 0
        self.last_level = 127
        self.key = bytearray()  # payload that began the newest key frame, for its size
        self.key_number = self.key_ns = 0  # its extended sequence and arrival; 0 = none to begin with
        self.timestamp = 0
        self.transit = 0.0
        self.jitter = 0.0  # RTP ticks
        self.last_sr: tuple[int, int] | None = None  # (64-bit NTP, RTP timestamp)
        self.last_sr_ns = 0
        self.prior_expected = self.prior_received = 0
        self.report_loss = 0.0

    def accept(self, sequence: int, now_ns: int) -> int:
        """The extended sequence number of a 16-bit one, bookkeeping done; -1 for a duplicate or a packet too old."""
        high = self.high
        if self.fresh:
            # Numbering always moves upwards: a sink sees a restart as a jump no loss can explain, and starts anew.
            self.fresh = False
            self.high = self.base = (high | 0xFFFF) + 0x10001 + sequence
            self.origin = self.prior_received = self.packets
            self.prior_expected = 0
            for earlier in range(1, _EARLY + 1):
                self.missing[self.high - earlier] = Missing(now_ns, early=True)
            return self.high
        extended = high + ((sequence - high + 0x8000) & 0xFFFF) - 0x8000
        if extended == high + 1:
            self.high = extended
            return extended
        if extended > high:
            self._gap(high + 1, extended, now_ns)
            self.high = extended
            return extended
        if self.missing.pop(extended, None) is not None:
            self.base = min(self.base, extended)
            return extended
        if high - extended > _RESTART_GAP:
            self.restart()
            return self.accept(sequence, now_ns)
        self.duplicates += 1
        return -1

    def _gap(self, first: int, after: int, now_ns: int) -> None:
        if after - first > _RESTART_GAP:
            self.base += after - first  # a new numbering upwards: not loss
            self.missing.clear()
            return
        start = max(first, after - _MAX_MISSING)
        self.given_up += start - first
        for extended in range(start, after):
            self.missing[extended] = Missing(now_ns)
        while len(self.missing) > _MAX_MISSING:
            del self.missing[next(iter(self.missing))]
            self.given_up += 1

    def measure(self, timestamp: int, now_ns: int) -> None:
        """Interarrival jitter (RFC 3550 section 6.4.1), once per frame."""
        transit = now_ns * self.ticks_per_ns - timestamp
        difference = abs(transit - self.transit)
        if self.packets > 1 and difference < self.clock_rate * 10:
            self.jitter += (difference - self.jitter) / 16
        self.transit = transit
        self.timestamp = timestamp

    def restart(self) -> None:
        """Forget the numbering: after a mute enforced here, or when the sender began anew."""
        self.fresh = True
        self.missing.clear()
        self.transit = 0.0
        self.key_ns = 0  # nobody begins with what was before the silence

    def due_nacks(self, now_ns: int, rtt_ns: int) -> list[int]:
        """16-bit sequence numbers to ask for now. Each is asked again after about one round trip, bounded."""
        if not self.missing:
            return []
        retry = min(_MAX_RETRY_NS, max(_MIN_RETRY_NS, rtt_ns + rtt_ns // 4))
        max_age, max_tries = _MAX_AGE_NS[self.kind], _MAX_TRIES[self.kind]
        due: list[int] = []
        dead: list[int] = []
        early: list[int] = []
        for extended, item in self.missing.items():
            age = now_ns - item.since_ns
            if item.early:
                if age > _EARLY_NS:
                    early.append(extended)
            elif age > max_age or (item.tries >= max_tries and now_ns - item.asked_ns > _MAX_RETRY_NS):
                dead.append(extended)
            elif item.tries >= max_tries or age < _REORDER_NS:
                continue
            elif not item.tries or now_ns - item.asked_ns >= retry * (1 + item.tries // 4):
                item.asked_ns = now_ns
                item.tries += 1
                due.append(extended & 0xFFFF)
        for extended in dead + early:
            del self.missing[extended]
        self.given_up += len(dead)
        return due if self.wants_nack else []

    def on_sender_report(self, ntp: int, rtp: int, now_ns: int) -> None:
        self.last_sr = (ntp, rtp)
        self.last_sr_ns = now_ns

    def report(self, now_ns: int) -> ReportBlock:
        """The report block for the sender; also updates `report_loss` (0..1 over the interval)."""
        expected = self.high - self.base + 1 if self.high >= 0 else 0
        interval_expected = expected - self.prior_expected
        lost_now = interval_expected - (self.packets - self.prior_received)  # originals: a repair was still a loss
        self.prior_expected, self.prior_received = expected, self.packets
        fraction = max(0.0, lost_now / interval_expected) if interval_expected > 0 else 0.0
        self.report_loss = fraction
        lsr = dlsr = 0
        if self.last_sr is not None:
            lsr = self.last_sr[0] >> 16 & 0xFFFFFFFF
            dlsr = min(0xFFFFFFFF, (now_ns - self.last_sr_ns) * 65536 // 1_000_000_000)
        lost = max(-0x800000, min(0x7FFFFF, expected - (self.packets - self.origin)))
        return ReportBlock(
            self.ssrc, min(255, int(fraction * 256)), lost, self.high & 0xFFFFFFFF, int(self.jitter), lsr, dlsr
        )
