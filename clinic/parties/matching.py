"""Which experts to ask for a wanted department and title: pure ranking over what is known of each (HZ-36).

Never an institution without an agreement in force. Who is left out keeps the reason, so that a form can say it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clinic.parties.records import Tier

# 卫生专业技术职务: the four steps of a physician's title, the lowest first; other words count as no step.
TITLES = ("住院医师", "主治医师", "副主任医师", "主任医师")


class Obstacle(StrEnum):
    """Why a candidate is not suggested; the first that holds, in this order."""

    NO_AGREEMENT = "no_agreement"
    NOT_ACCEPTING = "not_accepting"
    DEPARTMENT = "department"
    TITLE = "title"
    UNLICENSED = "unlicensed"
    BOOKED = "booked"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`title`: one of `TITLES` as the least, or "" for any; `tier`: of the inviting institution, where it is known."""

    department: str
    title: str = ""
    tier: Tier | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One expert of another institution and what is known of them for the time asked."""

    institution_id: str
    expert_id: str
    title: str
    scope: tuple[str, ...]  # departments the licence covers
    offered: tuple[str, ...]  # departments their institution offers
    tier: Tier | None
    accepts: bool
    agreed: bool
    unfit: tuple[str, ...]  # codes that speak against them or their house (TM-02, CN-01)
    booked: bool
    open_cases: int


def obstacle(wanted: Wanted, candidate: Candidate) -> Obstacle | None:
    """Why not, or None."""
    checks = (
        (Obstacle.NO_AGREEMENT, not candidate.agreed),
        (Obstacle.NOT_ACCEPTING, not candidate.accepts),
        (Obstacle.DEPARTMENT, not _covers(wanted, candidate)),
        (Obstacle.TITLE, step(candidate.title) < step(wanted.title)),
        (Obstacle.UNLICENSED, bool(candidate.unfit)),
        (Obstacle.BOOKED, candidate.booked),
    )
    return next((found for found, holds in checks if holds), None)


def rank(wanted: Wanted, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Those without an obstacle: fewest open cases first, then the nearest tier, then the higher title."""
    suited = [each for each in candidates if obstacle(wanted, each) is None]
    return tuple(sorted(suited, key=lambda each: _order(wanted, each)))


def left_out(wanted: Wanted, candidates: Iterable[Candidate]) -> tuple[tuple[Candidate, Obstacle], ...]:
    """The others with what stands in the way, those nearest to being possible first."""
    found = [(each, why) for each in candidates if (why := obstacle(wanted, each)) is not None]
    order = list(Obstacle)
    return tuple(sorted(found, key=lambda pair: (-order.index(pair[1]), _order(wanted, pair[0]))))


def step(title: str) -> int:
    """0 for no title of the four, else 1..4."""
    return TITLES.index(title) + 1 if title in TITLES else 0


def within(department: str, departments: Sequence[str]) -> bool:
    """A department counts for its parts: 03 (内科) covers 03.04."""
    return any(department == each or department.startswith(f"{each}.") for each in departments)


def _covers(wanted: Wanted, candidate: Candidate) -> bool:
    return within(wanted.department, candidate.offered) and within(wanted.department, candidate.scope)


def _order(wanted: Wanted, candidate: Candidate) -> tuple[int, int, int, str]:
    return candidate.open_cases, _distance(wanted.tier, candidate.tier), -step(candidate.title), candidate.expert_id


def _distance(here: Tier | None, there: Tier | None) -> int:
    """Steps between two tiers; unknown is farther than any."""
    tiers = list(Tier)
    if here is None or there is None:
        return len(tiers)
    return abs(tiers.index(here) - tiers.index(there))
