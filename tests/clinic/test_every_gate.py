"""No gate is forgotten: each code of each gate is raised by one fault, and a dated notice suspends exactly its gate."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from clinic import filings
from clinic.actor import Actor
from clinic.admission import AdmissionFacts, GateState, Present, Stage, facts_of, judge
from clinic.consult import ConsultKind, ConsultStatus
from clinic.facts import Authentication, DutyShift, FilingKind, Guardianship, PracticeFiling, ServiceAgreement
from clinic.gates import REASON_CODES, REGISTRY
from clinic.people import IdentityLevel
from clinic.rulebook import GATES, RuleSet
from tests.clinic.gate_rules import DAY, RULES, TODAY, codes, of, relaxed, strict
from tests.support.builders import CARDIOLOGY, World
from tests.support.clock import START

YESTERDAY = TODAY - DAY
Fault = Callable[[AdmissionFacts], AdmissionFacts]


def _agreement(known: AdmissionFacts, to: date) -> AdmissionFacts:
    row = ServiceAgreement("a", "i", known.patient.id, known.doctor.id, "1", to - DAY, to, "n", START)
    return replace(_family(known), agreements=(row,))


def _family(known: AdmissionFacts) -> AdmissionFacts:
    return of(known, "consult", kind=ConsultKind.FAMILY_DOCTOR)


def _filed_until(known: AdmissionFacts, last: date) -> AdmissionFacts:
    row = PracticeFiling("f", "i", known.doctor.id, FilingKind.FILED, "1", last - DAY, last, "a", START)
    return replace(known, filings=(row,))


def _child(known: AdmissionFacts, proof: str | None, seen: bool = True) -> AdmissionFacts:
    rows = (
        () if proof is None else (Guardianship("g", "i", known.patient.id, "张母", "母亲", proof, proof, "n", START),)
    )
    born = of(known, "patient", birth_date=date(2021, 1, 1))
    return replace(born, guardians=rows, present=Present(guardian_on_camera=seen))


def _window(known: AdmissionFacts, begins: timedelta, ends: timedelta) -> AdmissionFacts:
    return of(known, "consult", starts_at=START + begins, ends_at=START + ends)


def _expert(known: AdmissionFacts, **values: object) -> AdmissionFacts:
    return replace(known, experts=(replace(known.experts[0], **values),))  # type: ignore[arg-type]


HOUR = timedelta(hours=1)
FAULTS: dict[tuple[str, str], Fault] = {
    ("CN-01", "gate.institution_licence"): lambda known: of(known, "institution", licence_valid_to=YESTERDAY),
    ("CN-02", "gate.department_unlicensed"): lambda known: of(known, "institution", departments=("03", "03.040")),
    ("CN-02", "gate.doctor_scope"): lambda known: of(known, "doctor", practice_scope=("03", "03.040")),
    ("CN-03", "gate.doctor_unlicensed"): lambda known: of(known, "doctor", licence_valid_to=YESTERDAY),
    ("CN-03", "gate.doctor_experience"): lambda known: of(known, "doctor", independent_since=date(2023, 3, 3)),
    ("CN-03", "gate.doctor_unverified"): lambda known: of(known, "doctor", verified_until=YESTERDAY),
    ("CN-04", "gate.doctor_elsewhere"): lambda known: replace(known, present=Present(doctor_elsewhere=True)),
    ("CN-04", "gate.doctor_authentication"): lambda known: replace(known, authentication=None),
    ("CN-05", "gate.practice_unfiled"): lambda known: replace(known, filings=()),
    ("CN-05", "gate.practice_filing_expired"): lambda known: _filed_until(known, YESTERDAY),
    ("CN-06", "gate.identity_level"): lambda known: of(known, "patient", identity_level=IdentityLevel.L1),
    ("CN-07", "gate.followup_missing"): lambda known: replace(known, evidence=()),
    ("CN-07", "gate.followup_department"): lambda known: replace(
        known, evidence=(replace(known.evidence[0], department="03"),)
    ),
    ("CN-07", "gate.followup_too_old"): lambda known: replace(
        known, evidence=(replace(known.evidence[0], visited_on=(TODAY - 91 * DAY).isoformat()),)
    ),
    ("CN-07", "gate.followup_unattested"): lambda known: replace(known, attestation=None),
    ("CN-08", "gate.agreement_missing"): _family,
    ("CN-08", "gate.agreement_expired"): lambda known: _agreement(known, YESTERDAY),
    ("CN-10", "gate.guardian_missing"): lambda known: _child(known, None),
    ("CN-10", "gate.guardian_unproven"): lambda known: _child(known, ""),
    ("CN-12", "gate.consent_missing"): lambda known: replace(known, present=Present(consented=False)),
    ("CN-13", "gate.card_incomplete"): lambda known: of(known, "doctor", title="\t"),
    ("HZ-01", "gate.consult_over"): lambda known: of(known, "consult", status=ConsultStatus.CLOSED),
    ("HZ-01", "gate.too_early"): lambda known: _window(known, HOUR + timedelta(seconds=1), 2 * HOUR),
    ("HZ-01", "gate.too_late"): lambda known: _window(known, -3 * HOUR, -2 * HOUR - timedelta(seconds=1)),
    ("HZ-02", "gate.whereabouts_unknown"): lambda known: known,
    ("HZ-03", "gate.doctor_off_duty"): lambda known: known,
    ("HZ-04", "gate.guardian_not_on_camera"): lambda known: _child(known, "birth_certificate", seen=False),
    ("TM-01", "gate.case_missing"): lambda known: replace(known, case=None),
    ("TM-01", "gate.no_expert_accepted"): lambda known: replace(known, experts=()),
    ("TM-02", "gate.doctor_unlicensed"): lambda known: of(known, "doctor", licence_number=None),
    ("TM-02", "gate.expert_unlicensed"): lambda known: _expert(known, licence_valid_to=YESTERDAY),
    ("TM-02", "gate.expert_experience"): lambda known: _expert(known, independent_since=date(2023, 3, 3)),
    ("TM-02", "gate.expert_unverified"): lambda known: _expert(known, verified_until=None),
}
NATIONAL_ASKS_NOT = {"HZ-02", "HZ-03"}  # until a province requires them


def rules_where(rule: str, base: RuleSet = RULES) -> RuleSet:
    """The rules under which the gate is asked at all."""
    return strict(**{rule.replace("-", "_"): {"required": 1}}) if rule in NATIONAL_ASKS_NOT else base


async def start_of(world: World, rule: str) -> AdmissionFacts:
    """Facts that meet every gate of a kind this gate belongs to."""
    if rule.startswith("TM"):
        booked = await world.book_panel()
        for invitation in await world.ask(booked.consult):
            await world.answer(invitation)
    else:
        booked = await world.book()
    async with world.db.read() as tx:
        return await facts_of(tx, booked.consult)


def test_every_gate_and_every_code_has_its_fault() -> None:
    assert set(FAULTS) == {(rule, code) for rule, gate in REGISTRY.items() for code in gate.codes}
    assert {code for _, code in FAULTS} == REASON_CODES
    assert {rule for rule, _ in FAULTS} == GATES, "every rule that binds the door"


@pytest.mark.parametrize(("rule", "code"), FAULTS, ids=lambda part: part)
async def test_one_fault_raises_its_code_and_a_notice_suspends_its_gate_alone(
    world: World, rule: str, code: str
) -> None:
    sound = await start_of(world, rule)
    assert codes(sound) == ()
    faulty, rules = FAULTS[rule, code](sound), rules_where(rule)
    refused = judge(faulty, rules, START, Stage.RECEPTION)
    assert (rule, code) in {(reason.rule, reason.code) for reason in refused.reasons}
    assert {reason.rule for reason in refused.reasons} == {rule}, "one fault, one gate"
    assert all(reason.citation and reason.citation_en for reason in refused.reasons)
    lifted = judge(faulty, replace(rules, relaxed=relaxed(rule).relaxed), START, Stage.RECEPTION)
    assert lifted.allowed
    states = {gate.rule: gate.state for gate in lifted.gates}
    assert states.pop(rule) is GateState.RELAXED
    assert GateState.RELAXED not in states.values()


@pytest.mark.parametrize(("rule", "code"), FAULTS, ids=lambda part: part)
async def test_a_gate_speaks_at_its_stages_only(world: World, rule: str, code: str) -> None:
    faulty = FAULTS[rule, code](await start_of(world, rule))
    for stage in Stage:
        (gate,) = [each for each in judge(faulty, rules_where(rule), START, stage).gates if each.rule == rule]
        assert (gate.state is GateState.LATER) is (stage not in REGISTRY[rule].stages)
        assert gate.codes == () or stage in REGISTRY[rule].stages


# -- the edges that other files leave open -----------------------------------------------------------------------------


async def test_cn_02_a_department_is_exactly_itself(known: AdmissionFacts) -> None:
    for near in ("03", "03.0", "03.040", "03.04 ", "3.04"):
        assert codes(of(known, "institution", departments=(near,))) == ("gate.department_unlicensed",)
        assert codes(of(known, "doctor", practice_scope=(near,))) == ("gate.doctor_scope",)
    assert codes(of(known, "institution", departments=("03", CARDIOLOGY))) == ()


async def test_cn_04_at_the_edge_under_a_notice_and_at_a_reception_begun_just_now(known: AdmissionFacts) -> None:
    stale = Authentication(known.doctor.id, known.doctor.institution_id, "login", START - timedelta(seconds=601))
    late = replace(known, authentication=stale)
    assert codes(late, relaxed("CN-04")) == ()
    assert codes(replace(late, received_at=START)) == ()


async def test_cn_06_the_edge_under_a_province(known: AdmissionFacts) -> None:
    stricter = strict(CN_06={"minimum_identity_level": 3})
    assert codes(of(known, "patient", identity_level=IdentityLevel.L3), stricter) == ()
    assert codes(of(known, "patient", identity_level=IdentityLevel.L2), stricter) == ("gate.identity_level",)


async def test_cn_12_is_asked_at_the_door_of_the_reception_and_not_before(known: AdmissionFacts) -> None:
    unsigned = replace(known, present=Present(consented=False))
    said = {stage: codes(unsigned, stage=stage) for stage in Stage}
    assert said == {
        Stage.BOOKING: (), Stage.JOIN: (), Stage.RECEPTION: ("gate.consent_missing",), Stage.RUNNING: (),
    }  # fmt: skip


@pytest.mark.parametrize(("title", "good"), [("", False), (" \t\n", False), ("医", True), (" 主任医师 ", True)])
async def test_cn_13_one_character_makes_a_title(known: AdmissionFacts, title: str, good: bool) -> None:
    assert codes(of(known, "doctor", title=title)) == (() if good else ("gate.card_incomplete",))


async def test_hz_04_the_edge_is_the_sixth_birthday_under_a_stricter_age_the_eighth(known: AdmissionFacts) -> None:
    unseen = _child(known, "birth_certificate", seen=False)
    for born, rules, seen_asked in (
        (date(2020, 3, 3), RULES, True),
        (date(2020, 3, 2), RULES, False),
        (date(2018, 3, 3), strict(CN_10={"under_age": 8}), True),
        (date(2018, 3, 2), strict(CN_10={"under_age": 8}), False),
    ):
        facts = of(unseen, "patient", birth_date=born)
        for stage in (Stage.RECEPTION, Stage.RUNNING):
            assert ("gate.guardian_not_on_camera" in codes(facts, rules, stage)) is seen_asked


# -- the roster as it is read (HZ-03) ----------------------------------------------------------------------------------


async def test_hz_03_reads_the_shifts_that_may_count_and_none_that_is_over(world: World) -> None:
    admin = Actor.staff(world.admin)
    start = START + timedelta(hours=4)
    hours = {"past": (-30, -6), "until": (-2, 4), "over": (2, 6), "from": (4, 6), "next week": (168, 176)}
    made: dict[str, DutyShift] = {}
    async with world.db.begin() as tx:
        for name, (begins, ends) in hours.items():
            times = (START + timedelta(hours=begins), START + timedelta(hours=ends))
            made[name] = await filings.plan_shift(tx, world.doctor.id, CARDIOLOGY, *times, admin)
        other = await filings.plan_shift(tx, world.clinic_doctor.id, CARDIOLOGY, *times, admin)
    booked = await world.book(starts_at=start, ends_at=start + timedelta(minutes=30))
    async with world.db.read() as tx:
        facts = await facts_of(tx, booked.consult)
    assert {shift.id for shift in facts.shifts} == {made[name].id for name in ("over", "from", "next week")}
    assert other.id not in {shift.id for shift in facts.shifts}
    required = strict(HZ_03={"required": 1})
    for stage in (Stage.BOOKING, Stage.JOIN):
        whole = judge(facts, required, start, stage).codes
        assert "gate.doctor_off_duty" not in whole
        without = replace(facts, shifts=tuple(each for each in facts.shifts if each.id == made["next week"].id))
        assert "gate.doctor_off_duty" in judge(without, required, start, stage).codes
