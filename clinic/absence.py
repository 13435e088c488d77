"""Who did not come: the evidence is read from the trail, judged, sealed and kept with the mark (HZ-14)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import uuid4

from audit import reader
from audit.events import EventCode
from audit.reader import ReadEvent
from audit.transaction import AuditEvent
from clinic import visit
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, Seat
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import IllegalMove, NobodyMissed, TooEarly, WasPresent, WasWaiting
from clinic.overlays import rules_for
from clinic.people import Role
from clinic.roles import Action
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

Interval = tuple[datetime, datetime]
_ENDS = frozenset({EventCode.ROOM_LEFT, EventCode.ROOM_REMOVED, EventCode.ROOM_DENIED})
OUTCOMES = {"patient": "patient_absent", "doctor": "doctor_absent"}


class Who(StrEnum):
    PATIENT = "patient"
    DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the trail says of both sides. Everything is read; nothing is taken from whoever marks."""

    invited_at: datetime | None  # a link was made for the patient
    notice_state: str  # of the latest invitation: "none", "queued", "sent", "for_staff", "dead", "dropped"
    reminders: int  # handed over
    link_opened_at: datetime | None
    device_checked_at: datetime | None
    waited: tuple[Interval, ...]
    waits: bool  # the last interval has not ended
    doctor_inside: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """The mark with its sealed evidence; never changed."""

    id: str
    institution_id: str
    consult_id: str
    who: Who
    evidence: str  # canonical JSON
    policy_version: str
    recorded_by: str
    recorded_at: datetime
    signature: str  # server seal over the evidence


def evidence_of(events: Sequence[ReadEvent], patient: str, doctors: frozenset[str], now: datetime) -> Evidence:
    """Pure: the consult's events, the patient's seat and the seats of its leading doctor(s)."""
    invited = link_opened = checked = None
    state, reminders = "none", 0
    for event in events:
        if event.subject_id != patient:
            continue
        if event.code == EventCode.LINK_ISSUED:
            invited = event.at
        elif event.code == EventCode.LINK_REDEEMED:
            link_opened = link_opened or event.at
        elif event.code == EventCode.DEVICE_CHECKED:
            checked = event.at
        elif event.code.startswith("notice.") and event.public.get("kind") == "invitation":
            state = str(event.public["state"])
        elif event.code == EventCode.NOTICE_SENT and event.public.get("kind") == "reminder":
            reminders += 1
    waited, waits = _intervals(events, frozenset({patient}), EventCode.ROOM_WAITING, now)
    inside, _ = _intervals(events, doctors, EventCode.ROOM_ADMITTED, now)
    return Evidence(invited, state, reminders, link_opened, checked, waited, waits, inside)


def _intervals(
    events: Sequence[ReadEvent], seats: frozenset[str], begins: EventCode, now: datetime
) -> tuple[tuple[Interval, ...], bool]:
    """When any of these seats was in that state; and whether the last one still is."""
    found: list[Interval] = []
    since: datetime | None = None
    for event in events:
        if event.subject_id not in seats:
            continue
        if event.code == begins:
            since = since or event.at
        elif since is not None and (event.code in _ENDS or event.code == EventCode.ROOM_ADMITTED):
            found.append((since, event.at))
            since = None
    if since is not None:
        found.append((since, now))
    return tuple(found), since is not None


def judge(who: Who, consult: Consult, evidence: Evidence, now: datetime, policy: RuleSet) -> None:
    """Raises TooEarly, WasWaiting, WasPresent, NobodyMissed; returns when the absence may be recorded."""
    if now < consult.starts_at + policy.minutes("HZ-14", f"{who.value}_minutes"):
        raise TooEarly()
    waited = sum(((to - since) for since, to in evidence.waited), timedelta())
    came = evidence.waits or waited >= policy.minutes("HZ-14", "waited_minutes")
    if who is Who.PATIENT and came:
        raise WasWaiting()
    if who is Who.DOCTOR:
        if any(to > consult.starts_at for _, to in evidence.doctor_inside):
            raise WasPresent()
        if not came:
            raise NobodyMissed()


async def read(tx: ClinicTransaction, consult: Consult) -> Evidence:
    """The evidence as it stands."""
    events = await reader.events(cast(reader.TrailSource, tx), consult.institution_id, consult.id)
    seats: Sequence[Seat] = await tx.seats.find(consult_id=consult.id)
    patient = next(seat.id for seat in seats if seat.role is Role.PATIENT)
    return evidence_of(events, patient, frozenset(seat.id for seat in seats if seat.role in visit.LEADS), tx.now)


async def mark(tx: ClinicTransaction, sealer: Sealer, consult_id: str, who: Who, by: Actor) -> Absence:
    """End the consult as a no-show, the evidence sealed in the same transaction.

    Raises TooEarly, WasWaiting, WasPresent, NobodyMissed, IllegalMove, NotPermitted, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.MARK_ABSENT, consult)
    if consult.status not in (ConsultStatus.SCHEDULED, ConsultStatus.WAITING):
        raise IllegalMove(f"{consult.status}->no_show")
    evidence = await read(tx, consult)
    policy = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    judge(who, consult, evidence, tx.now, policy)
    document = _document(who, consult, evidence, policy.version, tx.now)
    absence = Absence(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        who=who,
        evidence=canonical(document).decode(),
        policy_version=policy.version,
        recorded_by=by.id,
        recorded_at=tx.now,
        signature=sealed(sealer, consult.institution_id, document, tx.now),
    )
    await tx.absences.add(absence)
    public = {"who": who.value, "document": digest(canonical(document)), **_public(document)}
    await tx.append(
        AuditEvent(
            EventCode.ABSENCE_RECORDED, consult.institution_id, by.seat_id or by.id, consult.id, absence.id,
            public=public,
        )
    )  # fmt: skip
    await visit.end(tx, consult, ConsultStatus.NO_SHOW, by, OUTCOMES[who.value])
    return absence


def _document(who: Who, consult: Consult, evidence: Evidence, version: str, now: datetime) -> dict[str, Any]:
    """What is sealed; times in Unix seconds, 0 = never."""
    return {
        "type": "huizhen.absence",
        "v": 1,
        "consult": consult.id,
        "who": who.value,
        "booked_from": _at(consult.starts_at),
        "invited_at": _at(evidence.invited_at),
        "notice_state": evidence.notice_state,
        "reminders": evidence.reminders,
        "link_opened_at": _at(evidence.link_opened_at),
        "device_checked_at": _at(evidence.device_checked_at),
        "waited": [_at(moment) for interval in evidence.waited for moment in interval],
        "doctor_inside": [_at(moment) for interval in evidence.doctor_inside for moment in interval],
        "policy": version,
        "recorded_at": _at(now),
    }


def _public(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same in the leaf, so that the trail says it without the row."""
    return {name: value for name, value in document.items() if name not in ("type", "v", "consult", "who")}


def _at(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp())
