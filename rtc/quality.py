"""The quality mark of one person, from loss and round trip, told on change only and at most once a second. Pure."""

from dataclasses import dataclass
from enum import StrEnum

_S = 1_000_000_000
_WORSE_NS = 1 * _S
_BETTER_NS = 4 * _S  # improvements are told late, or the mark flickers


class Level(StrEnum):
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    LOST = "lost"


_RANK = {Level.GOOD: 0, Level.FAIR: 1, Level.POOR: 2, Level.LOST: 3}


@dataclass(frozen=True, slots=True)
class Quality:
    """`uplink_loss`, `downlink_loss` 0..1; `rtt_ms` None = not measured yet.

    `reason`: "" | "uplink_loss" | "downlink_loss" | "downlink_bandwidth" | "rtt" | "silent" | "disconnected";
    `video_off` = faces are switched off for this viewer so that voices get through.
    """

    level: Level
    uplink_loss: float
    downlink_loss: float
    rtt_ms: int | None
    reason: str
    video_off: bool = False


@dataclass(frozen=True, slots=True)
class Signs:
    """What is measured: `connected` by the transport, `silent` = nothing heard for seconds."""

    connected: bool
    silent: bool
    uplink_loss: float
    downlink_loss: float
    rtt_s: float | None
    video_off_reason: str = ""


def judge(signs: Signs) -> Quality:
    """The mark these signs deserve."""
    rtt_ms = None if signs.rtt_s is None else round(signs.rtt_s * 1000)
    level, reason = Level.GOOD, ""
    candidates = [
        (_grade(signs.uplink_loss, 0.03, 0.12), "uplink_loss"),
        (_grade(signs.downlink_loss, 0.03, 0.12), "downlink_loss"),
        (_grade(float(rtt_ms or 0), 300, 700), "rtt"),
    ]
    if signs.video_off_reason:
        candidates.append((Level.POOR, signs.video_off_reason))
    if signs.silent:
        candidates.append((Level.LOST, "silent"))
    if not signs.connected:
        candidates.append((Level.LOST, "disconnected"))
    for grade, why in candidates:
        if _RANK[grade] > _RANK[level]:
            level, reason = grade, why
    return Quality(
        level, round(signs.uplink_loss, 3), round(signs.downlink_loss, 3), rtt_ms, reason, bool(signs.video_off_reason)
    )


def _grade(value: float, fair: float, poor: float) -> Level:
    if value >= poor:
        return Level.POOR
    return Level.FAIR if value >= fair else Level.GOOD


class QualityMark:
    """Holds the mark told last; `update` returns the new one when it is time to tell it."""

    def __init__(self) -> None:
        self.told: Quality | None = None
        self._told_ns = 0
        self._better_since_ns: int | None = None

    def update(self, signs: Signs, now_ns: int) -> Quality | None:
        fresh = judge(signs)
        told = self.told
        if told is not None:
            if (fresh.level, fresh.reason, fresh.video_off) == (told.level, told.reason, told.video_off):
                self._better_since_ns = None
                return None
            if now_ns - self._told_ns < _WORSE_NS:
                return None
            if _RANK[fresh.level] < _RANK[told.level]:
                if self._better_since_ns is None:
                    self._better_since_ns = now_ns
                if now_ns - self._better_since_ns < _BETTER_NS:
                    return None
        self.told, self._told_ns, self._better_since_ns = fresh, now_ns, None
        return fresh
