"""Figures of requests between institutions: counted from the rows, or from the trail, with the same result.

Pure. A fact is one institution asked by one sent request. `from_trail` reads nothing but public parts of events, so
that whoever doubts a figure counts it again from the log; the words of a refusal stand in the rows only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from audit.events import EventCode
from audit.leaf import milliseconds
from clinic.calendar import local_date
from clinic.panels.requests import InvitedParty, PanelRequest, PartyState, RequestState


class Outcome(StrEnum):
    """What became of asking one institution."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    RELEASED = "released"
    EXPIRED = "expired"


_OUTCOMES: Mapping[PartyState, Outcome] = {
    PartyState.ASKED: Outcome.WAITING,
    PartyState.PROPOSED: Outcome.WAITING,
    PartyState.ACCEPTED: Outcome.ACCEPTED,
    PartyState.REFUSED: Outcome.REFUSED,
    PartyState.RELEASED: Outcome.RELEASED,
    PartyState.EXPIRED: Outcome.EXPIRED,
}
ANSWERED = (Outcome.ACCEPTED, Outcome.REFUSED)


@dataclass(frozen=True, slots=True)
class Asked:
    """One institution asked. Times are unix milliseconds; `answered`: of an answer that stands."""

    request_id: str
    inviting_id: str
    invited_id: str
    urgent: bool
    sent: int
    outcome: Outcome = Outcome.WAITING
    answered: int | None = None
    reason: str = ""
    why: str = ""  # the coded reason (HZ-19); empty in answers of before


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often one coded reason was given, and the words beside it; `code` is empty for answers of before."""

    code: str
    count: int
    said: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Times:
    """Of `count` answers: half came within the median, nine of ten within p90 (nearest rank, whole seconds)."""

    count: int
    median: int | None
    p90: int | None


@dataclass(frozen=True, slots=True)
class Tally:
    """One line: `key` is a month, a pair of institutions, or everything."""

    key: tuple[str, ...]
    requests: int
    urgent: int  # of the requests
    outcomes: Mapping[Outcome, int]
    times: Times


@dataclass(frozen=True, slots=True)
class Figures:
    """`states`: requests by state, where their whole life is known (those of the own house)."""

    states: Mapping[RequestState, int]
    whole: Tally
    months: tuple[Tally, ...]
    pairs: tuple[Tally, ...]
    reasons: tuple[Refusals, ...]


class Event(Protocol):
    """What `from_trail` reads of an event of the log (audit.reader.ReadEvent has it)."""

    @property
    def at(self) -> datetime: ...
    @property
    def code(self) -> str: ...
    @property
    def institution_id(self) -> str: ...
    @property
    def subject_id(self) -> str | None: ...
    @property
    def public(self) -> Mapping[str, Any]: ...


def from_rows(
    requests: Iterable[PanelRequest], parties: Iterable[InvitedParty]
) -> tuple[dict[str, RequestState], list[Asked]]:
    """Requests by id, and who was asked. A party of a draft was not asked yet."""
    known = {row.id: row for row in requests}
    asked = [_asked(known[row.request_id], row) for row in parties if row.case_id is not None]
    return {row.id: row.state for row in known.values()}, asked


def _asked(request: PanelRequest, party: InvitedParty) -> Asked:
    outcome = _OUTCOMES[party.state]
    stands = outcome in ANSWERED and party.answered_at is not None
    return Asked(
        request.id,
        request.institution_id,
        party.invited_institution_id,
        request.urgency.value == "urgent",
        milliseconds(request.sent_at or request.drafted_at),
        outcome,
        milliseconds(party.answered_at) if stands and party.answered_at is not None else None,
        (party.reason or "") if outcome is Outcome.REFUSED else "",
        (party.reason_code or "") if outcome is Outcome.REFUSED else "",
    )


def from_trail(events: Iterable[Event], inviting_id: str) -> tuple[dict[str, RequestState], list[Asked]]:
    """The same from an inviting house's own trail, in the order of the log."""
    states: dict[str, RequestState] = {}
    asked: dict[tuple[str, str], Asked] = {}
    for event in events:
        request = str(event.public.get("request", ""))
        if event.institution_id != inviting_id or not request:
            continue
        if event.code == EventCode.REQUEST_DRAFTED:
            states[request] = RequestState.DRAFT
        elif event.code == EventCode.CASE_REQUESTED and request in states:
            states[request] = RequestState.SENT
            asked |= {(request, each.invited_id): each for each in _sent(event, request)}
        elif event.code == EventCode.REQUEST_TRIAGED and states.get(request) is RequestState.SENT:
            states[request] = RequestState.TRIAGED
        elif event.code == EventCode.REQUEST_MOVED and request in states:
            states[request] = RequestState(event.public["to"])
        else:
            _follow(asked, event, request)
    return states, list(asked.values())


def _sent(event: Event, request: str) -> list[Asked]:
    urgent, sent = event.public["urgency"] == "urgent", milliseconds(event.at)
    return [Asked(request, event.institution_id, invited, urgent, sent) for invited in event.public["invited"]]


_FOLLOWED: Mapping[str, str] = {EventCode.PARTY_ANSWERED: "answer", EventCode.PARTY_RELEASED: "to"}


def _follow(asked: dict[tuple[str, str], Asked], event: Event, request: str) -> None:
    """An answer, or the end of asking."""
    key, said = (request, str(event.public.get("invited", ""))), _FOLLOWED.get(event.code)
    if said is None or key not in asked:
        return
    answered = milliseconds(event.at) if event.code == EventCode.PARTY_ANSWERED else None
    asked[key] = replace(
        asked[key],
        outcome=_OUTCOMES[PartyState(event.public[said])],
        answered=answered,
        why=str(event.public.get("why", "")),
    )


def figures(states: Mapping[str, RequestState], asked: Sequence[Asked], time_zone: str) -> Figures:
    """Count them; months are those of the house's zone, by when a request was sent."""
    months: dict[tuple[str, ...], list[Asked]] = {}
    pairs: dict[tuple[str, ...], list[Asked]] = {}
    for each in asked:
        months.setdefault((month(each.sent, time_zone),), []).append(each)
        pairs.setdefault((each.inviting_id, each.invited_id), []).append(each)
    return Figures(
        dict(sorted(Counter(states.values()).items())),
        _tally((), asked),
        tuple(_tally(key, months[key]) for key in sorted(months)),
        tuple(_tally(key, pairs[key]) for key in sorted(pairs)),
        _refusals([each for each in asked if each.outcome is Outcome.REFUSED]),
    )


def _refusals(refused: Sequence[Asked]) -> tuple[Refusals, ...]:
    """By code, the most frequent first; so the words of each."""
    found = []
    for code, count in _frequent(each.why for each in refused):
        said = _frequent(each.reason for each in refused if each.why == code and each.reason)
        found.append(Refusals(code, count, said))
    return tuple(found)


def _frequent(words: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0])))


def month(sent: int, time_zone: str) -> str:
    """2026-03"""
    return local_date(datetime.fromtimestamp(sent / 1000, UTC), time_zone).isoformat()[:7]


def _tally(key: tuple[str, ...], asked: Sequence[Asked]) -> Tally:
    outcomes = Counter(each.outcome for each in asked)
    took = [(each.answered - each.sent) // 1000 for each in asked if each.answered is not None]
    return Tally(
        key,
        len({each.request_id for each in asked}),
        len({each.request_id for each in asked if each.urgent}),
        {outcome: outcomes[outcome] for outcome in Outcome},
        times(took),
    )


def times(seconds: Iterable[int]) -> Times:
    """Median and p90 by nearest rank; None of nothing."""
    ordered = sorted(seconds)
    return Times(len(ordered), _rank(ordered, 50), _rank(ordered, 90))


def _rank(ordered: Sequence[int], percent: int) -> int | None:
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
