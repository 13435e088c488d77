"""The gate's verdict on an online visit (domain-rules 1.1, 1.3): pure, coded, with the evidence it read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from clinic.calendar import add_years, local_date
from clinic.consult import Consult, ConsultKind, ConsultStatus, FollowUpEvidence
from clinic.panel import Case, InvitationState
from clinic.people import AccountState, Institution, Patient, Staff
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction


class Stage(StrEnum):
    BOOKING = "booking"  # institution, department, doctor, identity
    JOIN = "join"  # all of it, again, at the door


@dataclass(frozen=True, slots=True)
class AdmissionFacts:
    """Everything the gate reads; nothing else can change its verdict."""

    consult: Consult
    institution: Institution
    doctor: Staff
    patient: Patient
    evidence: tuple[FollowUpEvidence, ...] = ()
    case: Case | None = None
    experts: tuple[Staff, ...] = ()  # those who accepted
    expert_institutions: tuple[Institution, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not: a stable code, the rule it rests on, and the rule's source in both languages."""

    code: str
    rule: str
    citation: str
    citation_en: str


@dataclass(frozen=True, slots=True)
class Admission:
    allowed: bool
    reasons: tuple[Reason, ...]
    rules_version: str
    evidence_read: tuple[str, ...]  # ids of the rows the verdict rests on

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(reason.code for reason in self.reasons)


Refusal = tuple[str, str]  # reason code, rule id


def judge(facts: AdmissionFacts, rules: RuleSet, now: datetime, stage: Stage = Stage.JOIN) -> Admission:
    """The verdict at `now`, with every reason that speaks against (not only the first)."""
    today = local_date(now, facts.institution.time_zone)
    refusals = list(_institution(facts.institution, today))
    if facts.consult.kind is ConsultKind.FOLLOW_UP:
        refusals += _department(facts)
        refusals += _doctor(facts.doctor, today, rules.value("CN-03", "minimum_years"), "doctor", "CN-03")
    else:
        refusals += _inviting_doctor(facts.doctor, today)
    if facts.patient.identity_level < rules.value("CN-06", "minimum_identity_level"):
        refusals.append(("gate.identity_level", "CN-06"))
    if stage is Stage.JOIN:
        if facts.consult.kind is ConsultKind.FOLLOW_UP:
            refusals += _follow_up(facts, rules.value("CN-07", "window_days"), today)
        else:
            refusals += _panel(facts, rules, today)
        refusals += _open_now(facts.consult, rules, now)
    reasons = tuple(
        Reason(code, rule, rules.rules[rule].citation, rules.rules[rule].citation_en)
        for code, rule in dict.fromkeys(refusals)
    )
    return Admission(not reasons, reasons, rules.version, _read(facts))


def _read(facts: AdmissionFacts) -> tuple[str, ...]:
    rows = [facts.consult.id, facts.institution.id, facts.doctor.id, facts.patient.id]
    rows += [row.id for row in facts.evidence]
    if facts.case is not None:
        rows.append(facts.case.id)
    return (*rows, *(expert.id for expert in facts.experts))


def _institution(institution: Institution, today: date) -> Iterator[Refusal]:
    if institution.licence_valid_to < today:
        yield "gate.institution_licence", "CN-01"


def _department(facts: AdmissionFacts) -> Iterator[Refusal]:
    if facts.consult.department not in facts.institution.departments:
        yield "gate.department_unlicensed", "CN-02"
    if facts.consult.department not in facts.doctor.practice_scope:
        yield "gate.doctor_scope", "CN-02"


def _licensed(staff: Staff, today: date) -> bool:
    valid = staff.licence_valid_to
    return bool(staff.licence_number) and valid is not None and valid >= today and staff.state is AccountState.ACTIVE


def _doctor(staff: Staff, today: date, years: int, who: str, rule: str) -> Iterator[Refusal]:
    """`who` is "doctor" or "expert": the same three tests, told apart by code."""
    if not _licensed(staff, today):
        yield f"gate.{who}_unlicensed", rule
    if staff.independent_since is None or add_years(staff.independent_since, years) > today:
        yield f"gate.{who}_experience", rule
    if staff.verified_until is None or staff.verified_until < today:
        yield f"gate.{who}_unverified", rule


def _inviting_doctor(doctor: Staff, today: date) -> Iterator[Refusal]:
    if not _licensed(doctor, today):
        yield "gate.doctor_unlicensed", "TM-02"


def _follow_up(facts: AdmissionFacts, window_days: int, today: date) -> Iterator[Refusal]:
    if not facts.evidence:
        yield "gate.followup_missing", "CN-07"
        return
    same = [row for row in facts.evidence if row.department == facts.consult.department]
    if not same:
        yield "gate.followup_department", "CN-07"
        return
    oldest = today - timedelta(days=window_days)
    if not any(oldest <= date.fromisoformat(row.visited_on) <= today for row in same):
        yield "gate.followup_too_old", "CN-07"


def _panel(facts: AdmissionFacts, rules: RuleSet, today: date) -> Iterator[Refusal]:
    if facts.case is None:
        yield "gate.case_missing", "TM-01"
    if not facts.experts:
        yield "gate.no_expert_accepted", "TM-01"
    yield from _experts(facts.experts, facts.expert_institutions, rules, today)


def _experts(experts: Iterable[Staff], homes: Iterable[Institution], rules: RuleSet, today: date) -> Iterator[Refusal]:
    for institution in homes:
        yield from _institution(institution, today)
    for expert in experts:
        yield from _doctor(expert, today, rules.value("TM-02", "minimum_years"), "expert", "TM-02")


def expert_refusals(
    experts: Iterable[Staff], homes: Iterable[Institution], rules: RuleSet, today: date
) -> tuple[str, ...]:
    """Codes that speak against asking these experts (TM-02, CN-01); empty when they may be asked."""
    return tuple(dict.fromkeys(code for code, _ in _experts(experts, homes, rules, today)))


def _open_now(consult: Consult, rules: RuleSet, now: datetime) -> Iterator[Refusal]:
    if not consult.media_open:
        yield "gate.consult_over", "HZ-01"
        return
    if consult.status is ConsultStatus.IN_PROGRESS:
        return  # a running consult never locks anybody out for its length
    if now < consult.starts_at - timedelta(minutes=rules.value("HZ-01", "early_minutes")):
        yield "gate.too_early", "HZ-01"
    if now > consult.ends_at + timedelta(minutes=rules.value("HZ-01", "late_minutes")):
        yield "gate.too_late", "HZ-01"


REASON_CODES = frozenset(
    {
        "gate.institution_licence",
        "gate.department_unlicensed",
        "gate.doctor_scope",
        "gate.identity_level",
        "gate.followup_missing",
        "gate.followup_department",
        "gate.followup_too_old",
        "gate.case_missing",
        "gate.no_expert_accepted",
        "gate.consult_over",
        "gate.too_early",
        "gate.too_late",
        *(f"gate.{who}_{what}" for who in ("doctor", "expert") for what in ("unlicensed", "experience", "unverified")),
    }
)


async def facts_of(tx: ClinicTransaction, consult: Consult) -> AdmissionFacts:
    """Read what the gate needs. Raises MissingRow when the consult's people are gone."""
    cases = await tx.cases.find(consult_id=consult.id)
    invitations = await tx.invitations.find(consult_id=consult.id, state=InvitationState.ACCEPTED)
    experts = [await tx.staff.get(invitation.expert_id) for invitation in invitations]
    homes = sorted({expert.institution_id for expert in experts})
    return AdmissionFacts(
        consult=consult,
        institution=await tx.institutions.get(consult.institution_id),
        doctor=await tx.staff.get(consult.doctor_id),
        patient=await tx.patients.get(consult.patient_id),
        evidence=tuple(await tx.follow_up_evidence.find(consult_id=consult.id)),
        case=cases[0] if cases else None,
        experts=tuple(experts),
        expert_institutions=tuple([await tx.institutions.get(home) for home in homes]),
    )
