"""The gates' verdict on a consult (domain-rules 1.1, 1.3): pure, coded, gate by gate, with the evidence it read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from clinic.calendar import local_date
from clinic.consult import Consult
from clinic.gates import REASON_CODES, REGISTRY, AdmissionFacts, Moment, Present, Stage, fit, licensed_house
from clinic.overlays import rules_for
from clinic.panel import InvitationState
from clinic.people import Institution, Role, Staff
from clinic.rulebook import RuleSet
from clinic.transaction import ClinicTransaction

__all__ = [
    "REASON_CODES",
    "Admission",
    "AdmissionFacts",
    "GateResult",
    "GateState",
    "Present",
    "Reason",
    "Stage",
    "expert_refusals",
    "facts_of",
    "judge",
]


class GateState(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    RELAXED = "relaxed"  # suspended by a dated notice (CN-08 d)
    LATER = "later"  # not asked at this stage


@dataclass(frozen=True, slots=True)
class Reason:
    """Why not: a stable code, the rule it rests on, and the rule's source in both languages."""

    code: str
    rule: str
    citation: str
    citation_en: str


@dataclass(frozen=True, slots=True)
class ValueUsed:
    """A value of the rule and the version of the layer it came from."""

    value: int
    layer: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate of the consult's kind. `notice`: the version of the overlay that suspends it."""

    rule: str
    state: GateState
    codes: tuple[str, ...]
    values: Mapping[str, ValueUsed]
    read: tuple[str, ...]
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    allowed: bool
    reasons: tuple[Reason, ...]
    rules_version: str
    evidence_read: tuple[str, ...]  # ids of the rows the verdict rests on
    stage: Stage = Stage.JOIN
    gates: tuple[GateResult, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(reason.code for reason in self.reasons)


def judge(facts: AdmissionFacts, rules: RuleSet, now: datetime, stage: Stage = Stage.JOIN) -> Admission:
    """The verdict at `now`, with every reason that speaks against (not only the first)."""
    at = Moment(now, local_date(now, facts.institution.time_zone), stage)
    gates = tuple(_result(rule_id, facts, rules, at) for rule_id in rules.kinds[facts.consult.kind].gates)
    refusals = dict.fromkeys((code, gate.rule) for gate in gates for code in gate.codes)
    reasons = tuple(
        Reason(code, rule, rules.rules[rule].citation, rules.rules[rule].citation_en) for code, rule in refusals
    )
    read = dict.fromkeys((facts.consult.id, *(row for gate in gates for row in gate.read)))
    return Admission(not reasons, reasons, rules.version, tuple(read), stage, gates)


def _result(rule_id: str, facts: AdmissionFacts, rules: RuleSet, at: Moment) -> GateResult:
    gate = REGISTRY[rule_id]
    values = {name: ValueUsed(value, rules.layer(rule_id, name)) for name, value in rules.rules[rule_id].values.items()}
    if at.stage not in gate.stages:
        return GateResult(rule_id, GateState.LATER, (), values, ())
    notice = rules.relaxed.get(rule_id)
    if notice is not None:
        return GateResult(rule_id, GateState.RELAXED, (), values, (), notice.version)
    codes = tuple(dict.fromkeys(gate.check(facts, rules, at)))
    state = GateState.FAILED if codes else GateState.PASSED
    return GateResult(rule_id, state, codes, values, tuple(dict.fromkeys(gate.reads(facts))))


def expert_refusals(
    experts: Iterable[Staff], homes: Iterable[Institution], rules: RuleSet, today: date
) -> tuple[str, ...]:
    """Codes that speak against asking these experts (TM-02, CN-01); empty when they may be asked."""
    found = [] if all(licensed_house(home, today) for home in homes) else ["gate.institution_licence"]
    for expert in experts:
        found += fit(expert, today, rules.value("TM-02", "minimum_years"), "expert")
    return tuple(dict.fromkeys(found))


async def facts_of(
    tx: ClinicTransaction, consult: Consult, present: Present | None = None, rules: RuleSet | None = None
) -> AdmissionFacts:
    """Read what the gates of this kind ask for. `rules`: those it will be judged by, where they are not the house's.

    Raises MissingRow when the consult's people are gone.
    """
    facts = await people_facts(tx, consult, rules)
    panel = {"TM-01", "TM-02"} & set(_gates(facts.institution, consult, rules, tx.now))
    cases = await tx.cases.find(consult_id=consult.id) if panel else ()
    accepted = {"consult_id": consult.id, "state": InvitationState.ACCEPTED}
    invitations = await tx.invitations.find(**accepted) if panel else ()
    experts = [await tx.staff.get(invitation.expert_id) for invitation in invitations]
    homes = sorted({expert.institution_id for expert in experts})
    seats = await tx.seats.find(consult_id=consult.id, role=Role.PATIENT)
    words = await tx.attestations.find(consult_id=consult.id)
    places = await tx.whereabouts.find(consult_id=consult.id)
    return replace(
        facts,
        evidence=tuple(await tx.follow_up_evidence.find(consult_id=consult.id)),
        case=cases[0] if cases else None,
        experts=tuple(experts),
        expert_institutions=tuple([await tx.institutions.get(home) for home in homes]),
        attestation=words[-1] if words else None,
        whereabouts=places[-1] if places else None,
        received_at=next((seat.admitted_at for seat in seats), None),
        present=present or Present(),
    )


def _gates(house: Institution, consult: Consult, rules: RuleSet | None, now: datetime) -> Sequence[str]:
    return (rules or rules_for(house, now)).kinds[consult.kind].gates


async def people_facts(tx: ClinicTransaction, consult: Consult, rules: RuleSet | None = None) -> AdmissionFacts:
    """What is known of the people before anything belongs to the consult: what booking reads."""
    house = await tx.institutions.get(consult.institution_id)
    both = {"patient_id": consult.patient_id, "doctor_id": consult.doctor_id}
    signed = await tx.service_agreements.find(**both) if "CN-08" in _gates(house, consult, rules, tx.now) else ()
    proven = await tx.authentications.find(id=consult.doctor_id)
    return AdmissionFacts(
        consult=consult,
        institution=house,
        doctor=await tx.staff.get(consult.doctor_id),
        patient=await tx.patients.get(consult.patient_id),
        filings=tuple(
            await tx.practice_filings.find(staff_id=consult.doctor_id, institution_id=consult.institution_id)
        ),
        shifts=tuple(await tx.duty_shifts.find(staff_id=consult.doctor_id)),
        guardians=tuple(await tx.guardianships.find(patient_id=consult.patient_id)),
        agreements=tuple(signed),
        authentication=proven[0] if proven else None,
    )
