"""Which messages staff are owed about a panel now: derived from the rows alone, so that none is kept in mind (HZ-21,
HZ-22, HZ-25, HZ-28). Sent once each by their key; what is derived no more is dropped before it leaves.

A message says which institution asks, the hour, what kind of thing waits, and where; nothing of the patient.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from clinic.calendar import local_date
from clinic.consult import PANELS, Consult, ConsultStatus
from clinic.notices import NoticeKind
from clinic.overlays import rules_for
from clinic.panels import in_writing, seating
from clinic.panels.board import begins_soon
from clinic.panels.finding import live, parties_of
from clinic.panels.outcome import FollowUpTask, TaskState
from clinic.panels.papers import papers_of
from clinic.panels.records import InvitationState
from clinic.panels.requests import WAITING, PartyState
from clinic.people import AccountState, Institution, Role
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class Wanted:
    """To whom, about what, until when; `key` with kind and person makes it once, `page` is the console's path."""

    kind: NoticeKind
    key: str
    staff_id: str
    until: datetime
    page: str


async def concerned(tx: ClinicTransaction, institution_id: str) -> list[str]:
    """Ids of this house's consults that may have a message due, found by the rows that wait."""
    house = await tx.institutions.get(institution_id)
    rules, today = rules_for(house, tx.now), local_date(tx.now, house.time_zone)
    coming = tx.consults.query(institution_id=institution_id, status=ConsultStatus.SCHEDULED)
    owing = tx.consults.query(institution_id=institution_id, status=ConsultStatus.CONCLUDING)
    asked = [tx.panel_requests.query(institution_id=institution_id, state=state) for state in sorted(WAITING)]
    tasks = tx.follow_up_tasks.query(institution_id=institution_id, state=TaskState.OPEN)
    await tx.fetch(coming, owing, *asked, tasks)
    found = [row.id for row in coming.rows if row.kind in PANELS and begins_soon(row, rules, tx.now)]
    found += [row.id for row in owing.rows if row.kind in PANELS]
    found += [row.consult_id for query in asked for row in query.rows]
    found += [row.consult_id for row in tasks.rows if row.due_on <= today]
    return list(dict.fromkeys(found))


async def of_consult(tx: ClinicTransaction, consult: Consult) -> list[Wanted]:
    """Every message that is due and true now."""
    if consult.kind not in PANELS:
        return []
    house = await tx.institutions.get(consult.institution_id)
    rules = rules_for(house, tx.now)
    return [
        *await _unanswered(tx, consult),
        *await _near(tx, consult, rules),
        *await _owed(tx, consult),
        *await _tasks(tx, consult, house, rules),
    ]


async def _unanswered(tx: ClinicTransaction, consult: Consult) -> list[Wanted]:
    """An institution was reminded (HZ-21): its coordinators, and its experts who were asked."""
    request = await live(tx, consult.id)
    if request is None or request.state not in WAITING or request.answer_by is None:
        return []
    found = []
    for party in await parties_of(tx, request):
        if party.state is not PartyState.ASKED or party.reminded_at is None:
            continue
        people = await tx.staff.find(institution_id=party.invited_institution_id, state=AccountState.ACTIVE)
        whom = [row.id for row in people if Role.COORDINATOR in row.roles]
        asked = await seating.of_party(tx, party)
        whom += [row.expert_id for row in asked if row.state is InvitationState.SENT]
        found += _each(NoticeKind.REQUEST_UNANSWERED, party.id, whom, request.answer_by, "requests")
    return found


async def _near(tx: ClinicTransaction, consult: Consult, rules: RuleSet) -> list[Wanted]:
    """The panel begins within the time of HZ-22: who leads it and who accepted. Another hour is told anew."""
    if not begins_soon(consult, rules, tx.now) or await in_writing.of(tx, consult.id) is not None:
        return []
    accepted = await tx.invitations.find(consult_id=consult.id, state=InvitationState.ACCEPTED)
    if not accepted:
        return []
    key = f"{consult.id}:{int(consult.starts_at.timestamp())}"
    whom = [consult.doctor_id, *(row.expert_id for row in accepted)]
    return _each(NoticeKind.PANEL_NEAR, key, whom, consult.starts_at, f"consults/{consult.id}")


async def _owed(tx: ClinicTransaction, consult: Consult) -> list[Wanted]:
    """An expert was reminded of their opinion, or somebody's late one was handed to a stand-in (HZ-25)."""
    if consult.status is not ConsultStatus.CONCLUDING:
        return []
    papers, found = await papers_of(tx, consult.id), []
    for row in papers.due:
        handed = row.handed_at is not None
        person = row.stand_in_id if handed else row.expert_id
        if person in papers.owing and (handed or row.reminders):
            key = f"{row.id}:{'handed' if handed else row.reminders}"
            found += _each(NoticeKind.OPINION_DUE, key, [person or ""], row.due_at, f"consults/{consult.id}")
    return found


async def _tasks(tx: ClinicTransaction, consult: Consult, house: Institution, rules: RuleSet) -> list[Wanted]:
    """A follow-up's day has come (HZ-28): the inviting doctor, from the morning on."""
    rows = await tx.follow_up_tasks.find(consult_id=consult.id, state=TaskState.OPEN)
    found = []
    for row in rows:
        morning = _hour(row, house, rules)
        if morning <= tx.now:
            found += _each(NoticeKind.TASK_DUE, row.id, [consult.doctor_id], morning, "follow-ups")
    return found


def _hour(task: FollowUpTask, house: Institution, rules: RuleSet) -> datetime:
    midnight = datetime.combine(task.due_on, time(), ZoneInfo(house.time_zone))
    return midnight + rules.hours("HZ-28", "remind_from_hour")


def _each(kind: NoticeKind, key: str, whom: Iterable[str], until: datetime, page: str) -> list[Wanted]:
    return [Wanted(kind, key, each, until, f"/console/{page}") for each in dict.fromkeys(whom)]
