"""How much video a viewer's downlink carries: the browser's REMB and its loss reports, with patient probing. Pure.

Measured in Chromium: its REMB counts video only, is bounded by about 1.5 times what it receives, and lags by many
seconds: after a re-map or a layer switch it creeps up from the rate of before. So it says "less" only where it stays
below what has flowed steadily and does not rise, and it never says "much more". Therefore the estimate may grow past
it by trial: if the larger layer then makes REMB stay behind, or loss rise, the estimate falls back and the next trial
waits twice as long. Random radio loss (10 %) is not congestion and lowers nothing; faces go first, voices last.
"""

from collections import deque
from enum import StrEnum

_S = 1_000_000_000
START_BPS = 1_500_000.0
FLOOR_BPS = 30_000.0
CEILING_BPS = 8_000_000.0
_CONSTRAINING = 0.9  # REMB below this share of what we have sent steadily is a real limit
_AMPLE = 1.2
_STEADY_NS = 2 * _S
_SQUEEZED_NS = 4 * _S
_DEEPEST_FALL = 0.6  # a second
_RISING = 1.03  # REMB that grew by more within that time is only catching up
_CONGESTED_LOSS = 0.12
_GROWTH_PER_S = 1.08
_HEADROOM = 2.2  # the estimate never exceeds this multiple of what really flows ...
_HEADROOM_BPS = 400_000.0  # ... plus this
_TRIAL_NS = 6 * _S  # a fall this soon after growth counts as a failed trial
_WATCH_NS = _S * 3 // 10
_BURST = 8
_BURST_SHARE = 0.25  # of the packets: 10 % of random loss does not come near
_MIN_PAUSE_NS = 4 * _S
_MAX_PAUSE_NS = 60 * _S

VIDEO_OFF_BPS = 150_000.0
VIDEO_OFF_LOSS = 0.18
_OFF_AFTER_NS = 2 * _S
_LOSSY_AFTER_NS = 4 * _S  # reports come once a second: a smaller layer needs that long to show its effect
_BACK_LOSS = 0.10
_FIRST_REST_NS = 8 * _S
_MAX_REST_NS = 64 * _S
_PROBATION_NS = 10 * _S


class Downlink:
    """One viewer's estimate of what its video may take, in bit/s, and its smoothed loss (0..1)."""

    def __init__(self) -> None:
        self.bps = START_BPS
        self.loss = 0.0
        self.recent_loss = 0.0  # of the newest report alone
        self.remb: float | None = None
        self._pause_ns = _MIN_PAUSE_NS
        self._resume_ns = 0
        self._ample = False  # the browser sees room to spare: what is lost is lost by the radio
        self._grew_ns = 0
        self._fell_ns = 0
        self._history: deque[tuple[int, float, float]] = deque(maxlen=64)  # (ns, sent, REMB)
        self._loss_ns = 0
        self._tick_ns = 0

    def on_remb(self, bps: float, sent_bps: float, now_ns: int) -> None:
        """`sent_bps`: the video we have been sending to this viewer in the last second."""
        self.remb = bps
        self._history.append((now_ns, sent_bps, bps))
        self._ample = bps > sent_bps * _AMPLE
        if bps > sent_bps:
            self._fell_ns = 0
        if bps < self.bps and self._stays_behind(bps, now_ns):
            if now_ns - self._fell_ns >= _S:
                self._fell_ns = now_ns
                least = _DEEPEST_FALL * min(self.bps, sent_bps)  # one dip while a layer changes is not the whole truth
                self._fall(max(FLOOR_BPS, bps, least), now_ns)
        elif bps > self.bps and now_ns >= self._resume_ns:
            self.bps = min(bps, CEILING_BPS)

    def _stays_behind(self, bps: float, now_ns: int) -> bool:
        """REMB below the least we have sent for some seconds, and not rising; no verdict without that much history."""
        history = self._history
        while len(history) > 1 and history[1][0] <= now_ns - _STEADY_NS:
            history.popleft()
        if history[0][0] > now_ns - _STEADY_NS:
            return False
        steady = min(sent for _, sent, _ in history)
        return bps < steady * _CONSTRAINING and bps <= history[0][2] * _RISING

    def on_loss(self, fraction: float, now_ns: int) -> None:
        """One report's loss over all streams, 0..1."""
        passed = (now_ns - self._loss_ns) / _S if self._loss_ns else 1.0
        self._loss_ns = now_ns
        self.recent_loss = fraction
        self.loss += min(1.0, max(0.15, passed / 2)) * (fraction - self.loss)
        if min(self.loss, fraction) > _CONGESTED_LOSS and not self._ample:
            self._fall(max(FLOOR_BPS, self.bps * (1 - 0.5 * min(fraction, 0.5))), now_ns)

    def tick(self, sent_bps: float, now_ns: int) -> None:
        """Growth; a few times a second."""
        passed = (now_ns - self._tick_ns) / _S if self._tick_ns else 0.0
        self._tick_ns = now_ns
        if now_ns < self._resume_ns or self.loss > _CONGESTED_LOSS:
            return
        limit = min(CEILING_BPS, sent_bps * _HEADROOM + _HEADROOM_BPS)
        if self.bps < limit:
            self.bps = min(limit, self.bps * _GROWTH_PER_S ** min(passed, 1.0))
            self._grew_ns = now_ns
        if now_ns - self._resume_ns > 4 * self._pause_ns:
            self._pause_ns = max(_MIN_PAUSE_NS, self._pause_ns // 2)
            self._resume_ns = now_ns

    def squeezed(self, now_ns: int) -> bool:
        """The browser itself has said lately that too much is sent; loss alone may be the radio."""
        return self._fell_ns > 0 and now_ns - self._fell_ns < _SQUEEZED_NS

    def fail_trial(self, bps: float, now_ns: int) -> None:
        """A larger layer visibly overfills the link: back to what flowed before, and wait twice as long."""
        self._pause_ns = min(_MAX_PAUSE_NS, self._pause_ns * 2)
        self._fell_ns = now_ns
        self.bps = max(FLOOR_BPS, min(self.bps, bps))
        self._resume_ns = now_ns + self._pause_ns

    def lift(self, bps: float) -> None:
        """A trial from outside (video coming back): assume at least this much."""
        self.bps = max(self.bps, bps)

    def _fall(self, bps: float, now_ns: int) -> None:
        if self._grew_ns and now_ns - self._grew_ns < _TRIAL_NS and now_ns >= self._resume_ns:
            self._pause_ns = min(_MAX_PAUSE_NS, self._pause_ns * 2)
        self.bps = bps
        self._resume_ns = now_ns + self._pause_ns


class UpgradeWatch:
    """The seconds after a layer was raised: a burst of repair requests says it was too much, long before any report.

    Without it a failed trial costs the voice about a second.
    """

    def __init__(self) -> None:
        self._until_ns = 0
        self._before_bps = 0.0
        self._window_ns = 0
        self._nacked = 0
        self._sent = 0

    def begin(self, before_bps: float, now_ns: int) -> None:
        """`before_bps`: what the layers shown before take, by the publishers' rates."""
        self._until_ns, self._before_bps = now_ns + _TRIAL_NS, before_bps

    def check(self, nacked: int, sent: int, now_ns: int) -> float | None:
        """Running totals of repair requests and packets; the rate to go back to when the trial has failed."""
        if now_ns - self._window_ns < _WATCH_NS:
            return None
        asked, packets = nacked - self._nacked, sent - self._sent
        self._window_ns, self._nacked, self._sent = now_ns, nacked, sent
        if now_ns >= self._until_ns or asked < _BURST or asked < _BURST_SHARE * packets:
            return None
        self._until_ns = 0
        return self._before_bps * 1.1


class VideoState(StrEnum):
    ON = "on"
    RESTING = "resting"  # off, so that voices get through
    PROBATION = "probation"  # back on, under watch


class VideoGate:
    """Switches a viewer's video off before audio breaks, and lets it back slowly: 8 s rest, doubled on each relapse."""

    def __init__(self) -> None:
        self.state = VideoState.ON
        self.reason = ""
        self._bad_since_ns: int | None = None
        self._until_ns = 0
        self._rest_ns = _FIRST_REST_NS

    @property
    def open(self) -> bool:
        return self.state is not VideoState.RESTING

    def judge(self, downlink: Downlink, voices_bps: float, now_ns: int) -> bool:
        """True when the state changed. `voices_bps` is set aside for audio. Coming back lifts the estimate."""
        if self.state is VideoState.RESTING:
            if now_ns < self._until_ns or downlink.loss > _BACK_LOSS:
                return False
            self.state, self._until_ns = VideoState.PROBATION, now_ns + _PROBATION_NS
            downlink.lift(VIDEO_OFF_BPS * 2)
            self.reason = ""
            self._bad_since_ns = None
            return True
        if self.state is VideoState.PROBATION and now_ns >= self._until_ns:
            self.state, self._rest_ns = VideoState.ON, _FIRST_REST_NS
        starved = downlink.bps + voices_bps < VIDEO_OFF_BPS
        lossy = min(downlink.loss, downlink.recent_loss) > VIDEO_OFF_LOSS  # a smaller layer may have cured it already
        if not (starved or lossy):
            self._bad_since_ns = None
            return False
        if self._bad_since_ns is None:
            self._bad_since_ns = now_ns
        if now_ns - self._bad_since_ns < (_OFF_AFTER_NS if starved else _LOSSY_AFTER_NS):
            return False
        if self.state is VideoState.PROBATION:
            self._rest_ns = min(_MAX_REST_NS, self._rest_ns * 2)
        self.state, self._until_ns = VideoState.RESTING, now_ns + self._rest_ns
        self.reason = "downlink_loss" if lossy else "downlink_bandwidth"
        return True


class UplinkCap:
    """The REMB we send to publishers without transport-wide feedback: a ceiling that yields to loss."""

    def __init__(self) -> None:
        self.bps = 2_500_000.0

    def on_loss(self, fraction: float) -> float:
        """Called once a second with the interval's loss; the cap in bit/s."""
        if fraction > 0.15:
            self.bps = max(100_000.0, self.bps * (1 - 0.5 * fraction))
        elif fraction < 0.05:
            self.bps = min(4_000_000.0, self.bps * 1.08)
        return self.bps
