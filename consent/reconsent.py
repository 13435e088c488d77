"""Who has to be asked again, and about what, when something changed since the signing. Pure.

`changes` compares the situation at the signing with the present one; `ask_again` reads the ledger and says who decides
what anew. A purpose refused in this consult is among them only when its question is another one now: the same question
is not put again (条例 art. 22).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from clinic.calendar import add_months
from clinic.consult import Seat
from clinic.people import Role
from consent.policy import Policy
from consent.records import Purpose
from consent.standing import Ledger, Standing, overview


class Change(StrEnum):
    PARTICIPANT = "participant"  # somebody new is in the room
    INSTITUTION = "institution"  # another institution sees the data, PIPL art. 23
    OBSERVER = "observer"
    INTERPRETER = "interpreter"
    AI_ON = "ai_on"
    PURPOSE = "purpose"  # PIPL art. 14: purpose, means or kind changed
    RETENTION = "retention"
    RECIPIENT = "recipient"
    TEMPLATE_MAJOR = "template_major"
    GUARDIAN = "guardian"
    AGE_8 = "age_8"  # the child gets a word of its own
    AGE_14 = "age_14"
    AGE_18 = "age_18"  # the guardian's word ends
    TOO_OLD = "too_old"
    OTHER_COURSE = "other_course"
    LANGUAGE = "language"
    DOCTOR = "doctor"  # another doctor than the one the question names
    CROSS_BORDER = "cross_border"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a consent rests on, at one moment. `seats`: everybody of the consult; `age`: of the patient."""

    on: date
    seats: tuple[Seat, ...] = ()
    institutions: frozenset[str] = frozenset()
    observers: frozenset[str] = frozenset()
    ai: frozenset[Purpose] = frozenset()
    purposes: frozenset[Purpose] = frozenset()
    retention_years: int = 0
    recipients: frozenset[str] = frozenset()
    template_major: int = 0
    guardian: str | None = None
    age: int | None = None
    course: str = ""
    locale: str = "zh"
    doctor: str = ""
    naming_doctor: frozenset[Purpose] = frozenset()  # purposes whose question names the doctor
    abroad: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """One change. `newcomers`: seats that sign for themselves first; `purposes`: those it is about, where not all;
    `reworded`: those whose question is another one than the one that was answered."""

    change: Change
    newcomers: tuple[str, ...] = ()
    purposes: frozenset[Purpose] = frozenset()
    reworded: frozenset[Purpose] = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    seat_id: str
    purposes: tuple[Purpose, ...]
    because: tuple[Change, ...]


NO = frozenset({Standing.REFUSED, Standing.WITHDRAWN})
_ALL = frozenset(Purpose)
_PATIENT: Mapping[Change, frozenset[Purpose]] = {  # what the patient decides anew; newcomers decide on their own
    Change.PARTICIPANT: frozenset(),
    Change.INTERPRETER: frozenset({Purpose.TREAT}),
    Change.INSTITUTION: frozenset({Purpose.SHARE_PANEL}),
    Change.OBSERVER: frozenset({Purpose.OBSERVE}),
    Change.AI_ON: frozenset({Purpose.AI_TRANSCRIBE, Purpose.AI_ASSIST}),
    Change.PURPOSE: _ALL,
    Change.RETENTION: frozenset({Purpose.REC_AV, Purpose.TEACH, Purpose.RESEARCH}),
    Change.RECIPIENT: frozenset({Purpose.SHARE_PANEL, Purpose.RESEARCH, Purpose.TEACH}),
    Change.TEMPLATE_MAJOR: _ALL,
    Change.GUARDIAN: _ALL,
    Change.AGE_8: _ALL,
    Change.AGE_14: _ALL,
    Change.AGE_18: _ALL,
    Change.TOO_OLD: _ALL,
    Change.OTHER_COURSE: _ALL,
    Change.LANGUAGE: _ALL,
    Change.DOCTOR: _ALL,
    Change.CROSS_BORDER: frozenset({Purpose.XBORDER}),
}
_NARROW = frozenset({Change.AI_ON, Change.PURPOSE, Change.DOCTOR})  # only the purposes named in the change itself


def changes(before: Situation, now: Situation, policy: Policy) -> tuple[Found, ...]:
    """Everything that differs, in the order of `Change`."""
    known = {seat.id for seat in before.seats}
    new = [seat for seat in now.seats if seat.id not in known and seat.role is not Role.PATIENT]
    interpreters = tuple(seat.id for seat in new if seat.role is Role.INTERPRETER)
    found = {
        Change.PARTICIPANT: Found(Change.PARTICIPANT, tuple(seat.id for seat in new)) if new else None,
        Change.INSTITUTION: _if(Change.INSTITUTION, now.institutions - before.institutions),
        Change.OBSERVER: _if(Change.OBSERVER, now.observers - before.observers),
        Change.INTERPRETER: Found(Change.INTERPRETER, interpreters) if interpreters else None,
        Change.AI_ON: _purposes(Change.AI_ON, now.ai - before.ai),
        Change.PURPOSE: _purposes(Change.PURPOSE, now.purposes - before.purposes),
        Change.RETENTION: _if(Change.RETENTION, now.retention_years > before.retention_years),
        Change.RECIPIENT: _if(Change.RECIPIENT, now.recipients - before.recipients),
        Change.TEMPLATE_MAJOR: _if(Change.TEMPLATE_MAJOR, now.template_major != before.template_major),
        Change.GUARDIAN: _if(Change.GUARDIAN, now.guardian != before.guardian),
        **_birthdays(before, now, policy),
        Change.TOO_OLD: _if(Change.TOO_OLD, now.on >= add_months(before.on, policy.purposes[Purpose.TREAT].months)),
        Change.OTHER_COURSE: _if(Change.OTHER_COURSE, now.course != before.course),
        Change.LANGUAGE: _if(Change.LANGUAGE, now.locale != before.locale),
        Change.DOCTOR: _purposes(Change.DOCTOR, before.naming_doctor if now.doctor != before.doctor else frozenset()),
        Change.CROSS_BORDER: _if(Change.CROSS_BORDER, now.abroad - before.abroad),
    }
    return tuple(each for change in Change if (each := found[change]) is not None)


def _if(change: Change, differs: object) -> Found | None:
    return Found(change) if differs else None


def _purposes(change: Change, added: frozenset[Purpose]) -> Found | None:
    return Found(change, purposes=added) if added else None


def _birthdays(before: Situation, now: Situation, policy: Policy) -> dict[Change, Found | None]:
    """8, 14 and 18 as the policy has them."""
    steps = {Change.AGE_8: "own_word", Change.AGE_14: "parent_consent", Change.AGE_18: "adult"}
    found: dict[Change, Found | None] = dict.fromkeys(steps)
    if before.age is not None and now.age is not None:
        for change, name in steps.items():
            found[change] = _if(change, before.age < policy.ages[name] <= now.age)
    return found


def ask_again(records: Ledger, patient_seat: str, found: Sequence[Found]) -> tuple[Ask, ...]:
    """Who decides what anew: the patient, and each newcomer (who waits in the lobby until then)."""
    said = overview(records, patient_seat)
    purposes: dict[Purpose, None] = {}
    because: list[Change] = []
    for each in found:
        concerned = [purpose for purpose in Purpose if _concerns(each, purpose, said)]
        if concerned:
            because.append(each.change)
            purposes |= dict.fromkeys(concerned)
    asks = [Ask(patient_seat, tuple(each for each in Purpose if each in purposes), tuple(because))] if purposes else []
    newcomers: dict[str, list[Change]] = {}
    for each in found:
        for seat_id in each.newcomers:
            newcomers.setdefault(seat_id, []).append(each.change)
    for seat_id, why in newcomers.items():
        if not overview(records, seat_id):
            asks.append(Ask(seat_id, (Purpose.REC_AV,), tuple(why)))
    return tuple(asks)


def _concerns(found: Found, purpose: Purpose, said: Mapping[Purpose, Standing]) -> bool:
    """A new purpose is asked when undecided, an old one when it was permitted; after a no only another question."""
    where = said.get(purpose, Standing.UNDECIDED)
    if purpose not in _PATIENT[found.change] or (found.change in _NARROW and purpose not in found.purposes):
        return False
    if where in NO:
        return purpose in found.reworded
    return found.change in _NARROW or where is Standing.PERMITTED or _PATIENT[found.change] != _ALL


def purposes_of(asks: Iterable[Ask], seat_id: str) -> tuple[Purpose, ...]:
    return tuple(purpose for ask in asks if ask.seat_id == seat_id for purpose in ask.purposes)
