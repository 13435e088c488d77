"""The gates, one per rule id: each reads facts and says what speaks against the visit. Which apply is data (rulebook).

Pure. A gate yields stable codes; the rule's citation and layer are added by `clinic.admission.judge`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from clinic.calendar import add_years, age_on
from clinic.consult import Consult, ConsultStatus, FollowUpEvidence
from clinic.facts import (
    Attestation,
    Authentication,
    DutyShift,
    Guardianship,
    PracticeFiling,
    ServiceAgreement,
    Whereabouts,
)
from clinic.panels.records import Case
from clinic.people import AccountState, Institution, Patient, Role, Staff
from clinic.rulebook import RuleSet


class Stage(StrEnum):
    """When the gates are asked. Each asks all the earlier one does, except RUNNING."""

    BOOKING = "booking"  # institution, department, doctor, identity
    JOIN = "join"  # and evidence, at the door and while waiting
    RECEPTION = "reception"  # and what the doctor has to have done before the patient is let in
    RUNNING = "running"  # what must stay true while they talk


@dataclass(frozen=True, slots=True)
class Present:
    """What no row holds, told by whoever judges. None = not known there."""

    consented: bool | None = None  # the consent gate's answer (CN-12)
    doctor_elsewhere: bool = False  # the doctor holds media in another consult (CN-04)
    guardian_on_camera: bool | None = None  # a guardian is seen on video (HZ-04)
    entering: Role = Role.PATIENT  # who is to be let in


@dataclass(frozen=True, slots=True)
class AdmissionFacts:
    """Everything the gates read; nothing else can change their verdict."""

    consult: Consult
    institution: Institution
    doctor: Staff
    patient: Patient
    evidence: tuple[FollowUpEvidence, ...] = ()
    case: Case | None = None
    experts: tuple[Staff, ...] = ()  # those who accepted
    expert_institutions: tuple[Institution, ...] = ()
    filings: tuple[PracticeFiling, ...] = ()  # the doctor's, at this institution
    shifts: tuple[DutyShift, ...] = ()
    guardians: tuple[Guardianship, ...] = ()
    agreements: tuple[ServiceAgreement, ...] = ()  # the patient's with this doctor
    attestation: Attestation | None = None  # the latest
    whereabouts: Whereabouts | None = None
    authentication: Authentication | None = None
    received_at: datetime | None = None  # when the patient was first let in: reception has begun
    present: Present = field(default_factory=Present)


@dataclass(frozen=True, slots=True)
class Moment:
    now: datetime
    today: date  # in the institution's calendar
    stage: Stage


Codes = Iterator[str]
Check = Callable[[AdmissionFacts, RuleSet, Moment], Codes]


@dataclass(frozen=True, slots=True)
class Gate:
    """`reads`: ids of the rows it rests on."""

    check: Check
    stages: frozenset[Stage]
    codes: tuple[str, ...]
    reads: Callable[[AdmissionFacts], Iterable[str]]


def _institution(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    houses = (facts.institution, *(facts.expert_institutions if at.stage is not Stage.BOOKING else ()))
    if not all(licensed_house(house, at.today) for house in houses):
        yield "gate.institution_licence"


def licensed_house(institution: Institution, today: date) -> bool:
    return institution.licence_valid_to >= today


def _department(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if facts.consult.department not in facts.institution.departments:
        yield "gate.department_unlicensed"
    if facts.consult.department not in facts.doctor.practice_scope:
        yield "gate.doctor_scope"


def _doctor(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    return fit(facts.doctor, at.today, rules.value("CN-03", "minimum_years"), "doctor")


def fit(staff: Staff, today: date, years: int, who: str) -> Codes:
    """`who` is "doctor" or "expert": the same three tests, told apart by code."""
    if not _licensed(staff, today):
        yield f"gate.{who}_unlicensed"
    if staff.independent_since is None or add_years(staff.independent_since, years) > today:
        yield f"gate.{who}_experience"
    if staff.verified_until is None or staff.verified_until < today:
        yield f"gate.{who}_unverified"


def _licensed(staff: Staff, today: date) -> bool:
    valid = staff.licence_valid_to
    return bool(staff.licence_number) and valid is not None and valid >= today and staff.state is AccountState.ACTIVE


def _same_person(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if rules.value("CN-04", "one_session") and facts.present.doctor_elsewhere:
        yield "gate.doctor_elsewhere"
    if at.stage is not Stage.RECEPTION or facts.received_at is not None:
        return  # a reception that has begun was authenticated when it began
    proven = facts.authentication
    longest = timedelta(minutes=rules.value("CN-04", "step_up_minutes"))
    if proven is None or at.now - proven.at > longest:
        yield "gate.doctor_authentication"


def _filing(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    kept = [row for row in facts.filings if row.revoked_at is None]
    if not kept:
        yield "gate.practice_unfiled"
    elif not any(row.valid_from <= at.today and (row.valid_to is None or at.today <= row.valid_to) for row in kept):
        yield "gate.practice_filing_expired"


def _identity(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if facts.patient.identity_level < rules.value("CN-06", "minimum_identity_level"):
        yield "gate.identity_level"


def _follow_up(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if not facts.evidence:
        yield "gate.followup_missing"
        return
    same = [row for row in facts.evidence if row.department == facts.consult.department]
    oldest = at.today - timedelta(days=rules.value("CN-07", "window_days"))
    if not same:
        yield "gate.followup_department"
    elif not any(oldest <= date.fromisoformat(row.visited_on) <= at.today for row in same):
        yield "gate.followup_too_old"
    elif at.stage is Stage.RECEPTION and rules.value("CN-07", "attestation") and not _attested(facts, oldest, at.today):
        yield "gate.followup_unattested"


def _attested(facts: AdmissionFacts, oldest: date, today: date) -> bool:
    """The doctor of this visit signed for one of its proofs, of a visit within the window."""
    word = facts.attestation
    if word is None or word.doctor_id != facts.doctor.id or not oldest <= word.visited_on <= today:
        return False
    return word.evidence_id in {row.id for row in facts.evidence}


def _agreement(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    kept = [row for row in facts.agreements if row.ended_at is None]
    if not kept:
        yield "gate.agreement_missing"
    elif not any(row.signed_on <= at.today <= row.valid_to for row in kept):
        yield "gate.agreement_expired"


def small_child(facts: AdmissionFacts, rules: RuleSet, today: date) -> bool:
    """Too young to be seen without a guardian at the side (CN-10)."""
    return age_on(facts.patient.birth_date, today) < rules.value("CN-10", "under_age")


def _guardian(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if not small_child(facts, rules, at.today):
        return
    kept = [row for row in facts.guardians if row.ended_at is None]
    if not kept:
        yield "gate.guardian_missing"
    elif rules.value("CN-10", "proof") and not any(row.proof and row.reference for row in kept):
        yield "gate.guardian_unproven"


def _guardian_seen(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if not rules.value("HZ-04", "on_camera") or not small_child(facts, rules, at.today):
        return
    if facts.present.entering is not Role.PATIENT:
        return  # the guardian comes in first, then the child
    if not facts.present.guardian_on_camera:
        yield "gate.guardian_not_on_camera"


def _consent(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if facts.present.consented is False:
        yield "gate.consent_missing"


def _card(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    """Licence and fee stand on the patient's first page and in the wording; a card without a title says too little."""
    if not facts.doctor.name.strip() or (rules.value("CN-13", "title") and not facts.doctor.title.strip()):
        yield "gate.card_incomplete"


def _open_now(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    consult = facts.consult
    if not consult.media_open:
        yield "gate.consult_over"
        return
    if consult.status is ConsultStatus.IN_PROGRESS:
        return  # a running consult never locks anybody out for its length
    if at.now < consult.starts_at - timedelta(minutes=rules.value("HZ-01", "early_minutes")):
        yield "gate.too_early"
    if at.now > consult.ends_at + timedelta(minutes=rules.value("HZ-01", "late_minutes")):
        yield "gate.too_late"


def _where(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if rules.value("HZ-02", "required") and facts.whereabouts is None:
        yield "gate.whereabouts_unknown"


def _rostered(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    """At booking the shift must hold at the booked start; at the door now, and once begun no more."""
    if not rules.value("HZ-03", "required") or facts.received_at is not None:
        return
    moment = facts.consult.starts_at if at.stage is Stage.BOOKING else max(at.now, facts.consult.starts_at)
    for shift in facts.shifts:
        held = shift.cancelled_at is None and shift.department == facts.consult.department
        if held and shift.starts_at <= moment < shift.ends_at:
            return
    yield "gate.doctor_off_duty"


def _case(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if facts.case is None:
        yield "gate.case_missing"
    if not facts.experts:
        yield "gate.no_expert_accepted"


def _panel_people(facts: AdmissionFacts, rules: RuleSet, at: Moment) -> Codes:
    if not _licensed(facts.doctor, at.today):
        yield "gate.doctor_unlicensed"
    if at.stage is Stage.BOOKING:
        return
    for expert in facts.experts:
        yield from fit(expert, at.today, rules.value("TM-02", "minimum_years"), "expert")


def _ids(*names: str) -> Callable[[AdmissionFacts], list[str]]:
    """Ids of these facts, one row or many."""

    def read(facts: AdmissionFacts) -> list[str]:
        found: list[str] = []
        for name in names:
            value = getattr(facts, name)
            found += [row.id for row in (value if isinstance(value, tuple) else (value,)) if row is not None]
        return found

    return read


_ALWAYS = frozenset({Stage.BOOKING, Stage.JOIN, Stage.RECEPTION})
_AT_DOOR = frozenset({Stage.JOIN, Stage.RECEPTION})
_RECEPTION = frozenset({Stage.RECEPTION})
_FIT_DOCTOR = ("gate.doctor_unlicensed", "gate.doctor_experience", "gate.doctor_unverified")

REGISTRY: Mapping[str, Gate] = {
    "CN-01": Gate(_institution, _ALWAYS, ("gate.institution_licence",), _ids("institution", "expert_institutions")),
    "CN-02": Gate(
        _department, _ALWAYS, ("gate.department_unlicensed", "gate.doctor_scope"), _ids("institution", "doctor")
    ),
    "CN-03": Gate(_doctor, _ALWAYS, _FIT_DOCTOR, _ids("doctor")),
    "CN-04": Gate(
        _same_person,
        _AT_DOOR,
        ("gate.doctor_elsewhere", "gate.doctor_authentication"),
        _ids("doctor", "authentication"),
    ),
    "CN-05": Gate(
        _filing, _ALWAYS, ("gate.practice_unfiled", "gate.practice_filing_expired"), _ids("doctor", "filings")
    ),
    "CN-06": Gate(_identity, _ALWAYS, ("gate.identity_level",), _ids("patient")),
    "CN-07": Gate(
        _follow_up,
        _AT_DOOR,
        ("gate.followup_missing", "gate.followup_department", "gate.followup_too_old", "gate.followup_unattested"),
        _ids("evidence", "attestation"),
    ),
    "CN-08": Gate(
        _agreement, _ALWAYS, ("gate.agreement_missing", "gate.agreement_expired"), _ids("patient", "agreements")
    ),
    "CN-10": Gate(
        _guardian, _AT_DOOR, ("gate.guardian_missing", "gate.guardian_unproven"), _ids("patient", "guardians")
    ),
    "CN-12": Gate(_consent, _RECEPTION, ("gate.consent_missing",), _ids("patient")),
    "CN-13": Gate(_card, _ALWAYS, ("gate.card_incomplete",), _ids("doctor")),
    "HZ-01": Gate(_open_now, _AT_DOOR, ("gate.consult_over", "gate.too_early", "gate.too_late"), _ids("consult")),
    "HZ-02": Gate(_where, _RECEPTION, ("gate.whereabouts_unknown",), _ids("whereabouts")),
    "HZ-03": Gate(_rostered, _ALWAYS, ("gate.doctor_off_duty",), _ids("doctor", "shifts")),
    "HZ-04": Gate(
        _guardian_seen,
        frozenset({Stage.RECEPTION, Stage.RUNNING}),
        ("gate.guardian_not_on_camera",),
        _ids("patient", "guardians"),
    ),
    "TM-01": Gate(_case, _AT_DOOR, ("gate.case_missing", "gate.no_expert_accepted"), _ids("case", "experts")),
    "TM-02": Gate(
        _panel_people,
        _ALWAYS,
        ("gate.doctor_unlicensed", "gate.expert_unlicensed", "gate.expert_experience", "gate.expert_unverified"),
        _ids("doctor", "experts"),
    ),
}

REASON_CODES = frozenset(code for gate in REGISTRY.values() for code in gate.codes)
