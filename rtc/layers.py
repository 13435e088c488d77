"""Which simulcast layer of each video one viewer gets. Pure.

First everybody gets their lowest layer in order of priority (screen or spotlight, then the speaker, then size shown),
then layers are raised one step at a time in the same order while the estimate holds. Going up needs more headroom than
staying.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Key = tuple[str, str]

_ENOUGH = 0.75  # a layer this share of the shown height is sharp enough
_STAY = 0.6  # ... and one already shown may be a little smaller before it is changed
_UPGRADE_HEADROOM = 1.2
_STAY_SLACK = 0.85  # measured rates swing with key frames; what is shown is not dropped for that


@dataclass(frozen=True, slots=True)
class Layer:
    """One encoding on offer: measured bit/s, picture height in pixels; not `active` = nothing comes."""

    bps: float
    height: int
    active: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """One video this viewer shows. `layers` lowest first; `height` in device pixels; higher `priority` first."""

    key: Key
    layers: tuple[Layer, ...]
    height: int
    priority: int
    current: int | None


def ceiling(wish: Wish) -> int | None:
    """The best useful layer for the size shown; None when nothing comes at all."""
    active = [index for index, layer in enumerate(wish.layers) if layer.active]
    if not active:
        return None
    for index in active:
        share = _STAY if index == wish.current else _ENOUGH
        if wish.layers[index].height >= wish.height * share:
            return index
    return active[-1]


def allocate(wishes: Sequence[Wish], budget_bps: float) -> Mapping[Key, int | None]:
    """key -> layer index, None = not sent for want of bandwidth. The budget is for video alone."""
    ordered = sorted(wishes, key=lambda wish: (-wish.priority, -wish.height, wish.key))
    best = {wish.key: ceiling(wish) for wish in ordered}
    chosen: dict[Key, int | None] = {wish.key: None for wish in ordered}
    left = budget_bps
    for wish in ordered:
        lowest = next((i for i, layer in enumerate(wish.layers) if layer.active), None)
        if lowest is None:
            continue
        if wish.layers[lowest].bps * (1.0 if wish.current is None else _STAY_SLACK) <= left:
            chosen[wish.key] = lowest
            left -= wish.layers[lowest].bps
    raised = True
    while raised:
        raised = False
        for wish in ordered:
            step = _next_step(wish, chosen[wish.key], best[wish.key])
            if step is None:
                continue
            now = chosen[wish.key]
            more = wish.layers[step].bps - (wish.layers[now].bps if now is not None else 0.0)
            shown = wish.current is not None and step <= wish.current
            needed = more * (_STAY_SLACK if shown else _UPGRADE_HEADROOM)
            if needed <= left:
                chosen[wish.key] = step
                left -= more
                raised = True
    return chosen


def _next_step(wish: Wish, now: int | None, best: int | None) -> int | None:
    if now is None or best is None or now >= best:
        return None
    return next((i for i in range(now + 1, best + 1) if wish.layers[i].active), None)
