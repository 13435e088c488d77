"""The gates' verdict on a consult (domain-rules 1.1, 1.3): pure, coded, gate by gate, with the evidence it read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from audit.transaction import After, Query
from clinic.calendar import local_date
from clinic.consult import Consult
from clinic.gates import REASON_CODES, REGISTRY, AdmissionFacts, Moment, Present, Stage, fit, licensed_house
from clinic.overlays import rules_for
from clinic.panels.records import InvitationState
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
    house = await tx.institutions.get(consult.institution_id)
    gates = (rules or rules_for(house, tx.now)).kinds[consult.kind].gates
    seats = tx.seats.query(consult_id=consult.id, role=Role.PATIENT)
    evidence = tx.follow_up_evidence.query(consult_id=consult.id)
    words = tx.attestations.query(consult_id=consult.id)
    places = tx.whereabouts.query(consult_id=consult.id)
    facts = await _of_people(tx, consult, house, gates, seats, evidence, words, places)
    if {"TM-01", "TM-02"} & set(gates):
        facts = await _with_panel(tx, facts)
    return replace(
        facts,
        evidence=tuple(evidence.rows),
        attestation=words.last(),
        whereabouts=places.last(),
        received_at=next((seat.admitted_at for seat in seats.rows), None),
        present=present or Present(),
    )


async def people_facts(tx: ClinicTransaction, consult: Consult, rules: RuleSet | None = None) -> AdmissionFacts:
    """What is known of the people before anything belongs to the consult: what booking reads."""
    house = await tx.institutions.get(consult.institution_id)
    return await _of_people(tx, consult, house, (rules or rules_for(house, tx.now)).kinds[consult.kind].gates)


async def _of_people(
    tx: ClinicTransaction, consult: Consult, house: Institution, gates: Sequence[str], *besides: Query[Any]
) -> AdmissionFacts:
    """One journey to the database for all of it, and for what is asked `besides`."""
    doctor, patient = tx.staff.query(id=consult.doctor_id), tx.patients.query(id=consult.patient_id)
    filings = tx.practice_filings.query(staff_id=consult.doctor_id, institution_id=consult.institution_id)
    # no gate looks for a shift before the booked start (HZ-03): those of former years stay unread
    shifts = tx.duty_shifts.query(staff_id=consult.doctor_id, ends_at=After(consult.starts_at))
    guardians = tx.guardianships.query(patient_id=consult.patient_id)
    proven = tx.authentications.query(id=consult.doctor_id)
    signed = tx.service_agreements.query(patient_id=consult.patient_id, doctor_id=consult.doctor_id)
    agreements = (signed,) if "CN-08" in gates else ()
    await tx.fetch(doctor, patient, filings, shifts, guardians, proven, *agreements, *besides)
    return AdmissionFacts(
        consult=consult,
        institution=house,
        doctor=doctor.one(),
        patient=patient.one(),
        filings=tuple(filings.rows),
        shifts=tuple(shifts.rows),
        guardians=tuple(guardians.rows),
        agreements=tuple(signed.rows),
        authentication=proven.last(),
    )


async def _with_panel(tx: ClinicTransaction, facts: AdmissionFacts) -> AdmissionFacts:
    cases = tx.cases.query(consult_id=facts.consult.id)
    accepted = tx.invitations.query(consult_id=facts.consult.id, state=InvitationState.ACCEPTED)
    await tx.fetch(cases, accepted)
    asked = [tx.staff.query(id=invitation.expert_id) for invitation in accepted.rows]
    await tx.fetch(*asked)
    experts = tuple(each.one() for each in asked)
    homes = [tx.institutions.query(id=home) for home in sorted({expert.institution_id for expert in experts})]
    await tx.fetch(*homes)
    return replace(
        facts,
        case=cases.last(),
        experts=experts,
        expert_institutions=tuple(home.one() for home in homes),
    )
