"""The nurse's first look: complaint, vital signs as typed, red flags; signed, handed to the doctor, perhaps urgent.

Vital signs are whole numbers in the units people type, times ten where they have a decimal (36.8 degrees = 368).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, line
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import IllegalMove, InvalidInput
from clinic.overlays import rules_for
from clinic.roles import Action
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

OPEN = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS)
# What the nurse looks for and ticks; a machine only adds the vital signs beyond their bounds.
RED_FLAGS = (
    "chest_pain",
    "breathless",
    "stroke_signs",
    "unconscious",
    "bleeding",
    "severe_allergy",
    "seizure",
    "self_harm",
    "severe_pain",
    "pregnancy_bleeding",
)
ADVICE = ("continue_online", "visit_clinic", "emergency_120")
# Typing errors, not illness: outside of these nobody lives. (low, high) in the units stored.
_POSSIBLE = {
    "temperature": (250, 450), "pulse": (0, 300), "breaths": (0, 120), "systolic": (0, 320),
    "diastolic": (0, 250), "oxygen": (0, 100), "glucose": (0, 1000),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vitals:
    """None = not measured."""

    temperature: int | None = None  # degrees Celsius x 10
    pulse: int | None = None  # a minute
    breaths: int | None = None  # a minute
    systolic: int | None = None  # mmHg
    diastolic: int | None = None  # mmHg
    oxygen: int | None = None  # SpO2, per cent
    glucose: int | None = None  # mmol/L x 10


@dataclass(frozen=True, slots=True)
class TriageNote:
    """Signed when written; a later look is a further note."""

    id: str
    institution_id: str
    consult_id: str
    nurse_id: str
    complaint: str
    vitals: Vitals
    red_flags: tuple[str, ...]  # ticked, and "vital_..." from the bounds
    advice: str
    handover: str  # words to the doctor
    urgent_reason: str  # empty: not urgent
    policy_version: str
    signed_at: datetime
    signature: str

    @property
    def urgent(self) -> bool:
        return bool(self.urgent_reason)


@dataclass(frozen=True, slots=True)
class NewTriage:
    complaint: str
    vitals: Vitals
    red_flags: tuple[str, ...]
    advice: str
    handover: str
    urgent: bool = False
    urgent_reason: str = ""


def beyond(vitals: Vitals, policy: RuleSet) -> tuple[str, ...]:
    """Codes of the vital signs outside the bounds of HZ-16, such as "vital_oxygen_low"."""
    bounds = policy.rules["HZ-16"].values
    found = []
    for each in fields(vitals):
        value: int | None = getattr(vitals, each.name)
        if value is None:
            continue
        if value < bounds.get(f"{each.name}_low", value):
            found.append(f"vital_{each.name}_low")
        if value > bounds.get(f"{each.name}_high", value):
            found.append(f"vital_{each.name}_high")
    return tuple(found)


async def hand_over(tx: ClinicTransaction, sealer: Sealer, consult_id: str, new: NewTriage, by: Actor) -> TriageNote:
    """Write, sign and hand to the doctor. A red flag needs advice beyond "continue"; urgency needs its reason.

    Raises InvalidInput, NotPermitted, IllegalMove (over), MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.TRIAGE, consult)
    if consult.status not in OPEN:
        raise IllegalMove("triage belongs before the end of the call")
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    note = _note(new, consult, by, tx.now, rules)
    document = _document(note)
    note = replace(note, signature=sealed(sealer, note.institution_id, document, tx.now))
    await tx.triage_notes.add(note)
    await tx.append(
        AuditEvent(
            EventCode.TRIAGE_SIGNED,
            consult.institution_id,
            by.seat_id or by.id,
            consult_id,
            note.id,
            public={
                "document": digest(canonical(document)),
                "flags": list(note.red_flags),
                "advice": note.advice,
                "urgent": note.urgent,
                "policy": note.policy_version,
            },
        )
    )
    await _mark(tx, consult, note, by)
    return note


async def _mark(tx: ClinicTransaction, consult: Consult, note: TriageNote, by: Actor) -> None:
    """The latest look decides; the reason is personal and goes into the event's private part."""
    for seat in await tx.seats.find(consult_id=consult.id, person_id=consult.patient_id):
        place = await line.of_seat(tx, seat.id)
        if place is None or not place.open or (place.urgent_at is not None) is note.urgent:
            continue
        await tx.waiting_places.save(replace(place, urgent_at=tx.now if note.urgent else None))
        await tx.append(
            AuditEvent(
                EventCode.URGENCY_SET if note.urgent else EventCode.URGENCY_LIFTED,
                consult.institution_id,
                by.seat_id or by.id,
                consult.id,
                seat.id,
                private={"reason": note.urgent_reason},
            )
        )


async def of_consult(tx: ClinicTransaction, consult_id: str) -> tuple[TriageNote, ...]:
    """Oldest first."""
    return tuple(await tx.triage_notes.find(consult_id=consult_id))


def _note(new: NewTriage, consult: Consult, by: Actor, now: datetime, policy: RuleSet) -> TriageNote:
    for name in _impossible(new.vitals):
        raise InvalidInput(name, "out of range")
    if unknown := set(new.red_flags) - set(RED_FLAGS):
        raise InvalidInput("red_flags", f"{len(unknown)} unknown")
    flags = (*(flag for flag in RED_FLAGS if flag in new.red_flags), *beyond(new.vitals, policy))
    advice = checks.one_of("advice", new.advice, ADVICE)
    if flags and advice == "continue_online":
        raise InvalidInput("advice", "a red flag needs the clinic or 120")
    return TriageNote(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        nurse_id=by.id,
        complaint=checks.text("complaint", new.complaint, 1000),
        vitals=new.vitals,
        red_flags=flags,
        advice=advice,
        handover=checks.text("handover", new.handover, 1000),
        urgent_reason=checks.text("urgent_reason", new.urgent_reason, 500) if new.urgent else "",
        policy_version=policy.version,
        signed_at=now,
        signature="",
    )


def _impossible(vitals: Vitals) -> Iterator[str]:
    for name, (low, high) in _POSSIBLE.items():
        value: int | None = getattr(vitals, name)
        if value is not None and not low <= value <= high:
            yield name
    if vitals.systolic is not None and vitals.diastolic is not None and vitals.diastolic > vitals.systolic:
        yield "diastolic"


def _document(note: TriageNote) -> dict[str, object]:
    """What is sealed."""
    measured = {each.name: getattr(note.vitals, each.name) for each in fields(note.vitals)}
    return {
        "type": "huizhen.triage-note",
        "v": 1,
        "id": note.id,
        "institution": note.institution_id,
        "consult": note.consult_id,
        "nurse": note.nurse_id,
        "complaint": note.complaint,
        "vitals": {name: value for name, value in measured.items() if value is not None},
        "red_flags": list(note.red_flags),
        "advice": note.advice,
        "handover": note.handover,
        "urgent_reason": note.urgent_reason,
        "policy": note.policy_version,
        "signed_at": note.signed_at,
    }
