"""Each rule of the gate, one at a time, at its edge."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from clinic.admission import REASON_CODES, AdmissionFacts, Stage, expert_refusals, facts_of, judge
from clinic.consult import ConsultStatus
from clinic.people import AccountState, IdentityLevel
from clinic.rulebook import in_force
from tests.support.builders import CARDIOLOGY, World

RULES = in_force(date(2026, 3, 2))


async def facts(world: World) -> AdmissionFacts:
    booked = await world.book()
    async with world.db.read() as tx:
        return await facts_of(tx, booked.consult)


async def panel_facts(world: World) -> AdmissionFacts:
    booked = await world.book_panel()
    for invitation in await world.ask(booked.consult):
        await world.answer(invitation)
    async with world.db.read() as tx:
        return await facts_of(tx, booked.consult)


async def test_a_complete_follow_up_is_admitted(world: World) -> None:
    known = await facts(world)
    verdict = judge(known, RULES, world.clock())
    assert verdict.allowed
    assert verdict.codes == ()
    assert verdict.rules_version == "cn-2022.3"
    assert known.evidence[0].id in verdict.evidence_read


def change(known: AdmissionFacts, who: str, **values: Any) -> AdmissionFacts:
    return replace(known, **{who: replace(getattr(known, who), **values)})


TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("who", "values", "code", "rule"),
    [
        ("institution", {"licence_valid_to": TODAY - timedelta(days=1)}, "gate.institution_licence", "CN-01"),
        ("institution", {"departments": ("03.01",)}, "gate.department_unlicensed", "CN-02"),
        ("doctor", {"practice_scope": ()}, "gate.doctor_scope", "CN-02"),
        ("doctor", {"licence_number": None}, "gate.doctor_unlicensed", "CN-03"),
        ("doctor", {"licence_valid_to": None}, "gate.doctor_unlicensed", "CN-03"),
        ("doctor", {"licence_valid_to": TODAY - timedelta(days=1)}, "gate.doctor_unlicensed", "CN-03"),
        ("doctor", {"state": AccountState.DISABLED}, "gate.doctor_unlicensed", "CN-03"),
        ("doctor", {"independent_since": None}, "gate.doctor_experience", "CN-03"),
        ("doctor", {"independent_since": date(2023, 3, 3)}, "gate.doctor_experience", "CN-03"),
        ("doctor", {"verified_until": None}, "gate.doctor_unverified", "CN-03"),
        ("doctor", {"verified_until": TODAY - timedelta(days=1)}, "gate.doctor_unverified", "CN-03"),
        ("patient", {"identity_level": IdentityLevel.L1}, "gate.identity_level", "CN-06"),
        ("consult", {"status": ConsultStatus.CLOSED}, "gate.consult_over", "HZ-01"),
    ],
)
async def test_one_fault_gives_one_reason_with_its_citation(
    world: World, who: str, values: dict[str, Any], code: str, rule: str
) -> None:
    verdict = judge(change(await facts(world), who, **values), RULES, world.clock())
    assert not verdict.allowed
    assert verdict.codes == (code,)
    assert verdict.reasons[0].rule == rule
    assert verdict.reasons[0].citation == RULES.rules[rule].citation
    assert verdict.reasons[0].citation_en
    assert code in REASON_CODES


@pytest.mark.parametrize(
    ("who", "values"),
    [
        ("institution", {"licence_valid_to": TODAY}),
        ("doctor", {"licence_valid_to": TODAY, "verified_until": TODAY, "independent_since": date(2023, 3, 2)}),
        ("patient", {"identity_level": IdentityLevel.L2}),
    ],
)
async def test_the_last_day_still_counts(world: World, who: str, values: dict[str, Any]) -> None:
    assert judge(change(await facts(world), who, **values), RULES, world.clock()).allowed


@pytest.mark.parametrize(
    ("days", "department", "code"),
    [
        (90, CARDIOLOGY, None),
        (91, CARDIOLOGY, "gate.followup_too_old"),
        (-1, CARDIOLOGY, "gate.followup_too_old"),
        (5, "03.01", "gate.followup_department"),
        (None, "", "gate.followup_missing"),
    ],
)
async def test_follow_up_evidence_window(world: World, days: int | None, department: str, code: str | None) -> None:
    known = await facts(world)
    row = known.evidence[0]
    kept = () if days is None else (
        replace(row, department=department, visited_on=(TODAY - timedelta(days=days)).isoformat()),
    )  # fmt: skip
    verdict = judge(replace(known, evidence=kept), RULES, world.clock())
    assert verdict.codes == ((code,) if code else ())
    assert judge(replace(known, evidence=kept), RULES, world.clock(), Stage.BOOKING).allowed


async def test_the_room_opens_and_closes_around_the_slot(world: World) -> None:
    known = await facts(world)
    starts, ends = known.consult.starts_at, known.consult.ends_at
    early = starts - timedelta(minutes=60)
    late = ends + timedelta(minutes=120)
    assert judge(known, RULES, early).allowed
    assert judge(known, RULES, late).allowed
    assert judge(known, RULES, early - timedelta(seconds=1)).codes == ("gate.too_early",)
    assert judge(known, RULES, late + timedelta(seconds=1)).codes == ("gate.too_late",)
    running = change(known, "consult", status=ConsultStatus.IN_PROGRESS)
    assert judge(running, RULES, late + timedelta(hours=5)).allowed


async def test_all_reasons_are_told_at_once(world: World) -> None:
    known = change(change(await facts(world), "doctor", practice_scope=()), "patient", identity_level=IdentityLevel.L0)
    assert judge(known, RULES, world.clock()).codes == ("gate.doctor_scope", "gate.identity_level")


async def test_an_expert_consult_needs_case_and_experts(world: World) -> None:
    known = await panel_facts(world)
    assert judge(known, RULES, world.clock()).allowed
    empty = replace(known, case=None, experts=(), expert_institutions=())
    assert judge(empty, RULES, world.clock()).codes == ("gate.case_missing", "gate.no_expert_accepted")
    assert judge(empty, RULES, world.clock(), Stage.BOOKING).allowed


async def test_an_unfit_expert_is_refused(world: World) -> None:
    known = await panel_facts(world)
    young = replace(
        known.experts[0], independent_since=date(2024, 1, 1), verified_until=date(2026, 1, 1), licence_number=None
    )
    refused = judge(replace(known, experts=(young, known.experts[1])), RULES, world.clock())
    assert refused.codes == ("gate.expert_unlicensed", "gate.expert_experience", "gate.expert_unverified")
    assert {reason.rule for reason in refused.reasons} == {"TM-02"}
    closed = replace(known.expert_institutions[0], licence_valid_to=date(2026, 1, 1))
    assert expert_refusals([], [closed], RULES, TODAY) == ("gate.institution_licence",)


async def test_the_inviting_doctor_needs_a_licence_but_no_three_years(world: World) -> None:
    known = await panel_facts(world)
    assert judge(change(known, "doctor", independent_since=None), RULES, world.clock()).allowed
    refused = judge(change(known, "doctor", licence_number=None), RULES, world.clock())
    assert refused.codes == ("gate.doctor_unlicensed",)
    assert refused.reasons[0].rule == "TM-02"
