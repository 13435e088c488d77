"""Every gate CN-01 ... CN-13 and HZ-02 ... HZ-04: it passes, it fails, at its edge, and under an overlay."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from clinic.admission import AdmissionFacts, GateState, Present, Stage, judge
from clinic.consult import ConsultKind, FollowUpEvidence
from clinic.errors import AdmissionRefused
from clinic.facts import Authentication, FilingKind, PracticeFiling
from clinic.facts import ServiceAgreement as Agreement
from clinic.overlays import layered, load_overlay
from tests.clinic.gate_rules import DAY, RULES, TODAY, codes, of, relaxed, strict
from tests.clinic.overlay_source import overlay
from tests.support.builders import CARDIOLOGY, World
from tests.support.clock import START


async def test_everything_in_order_is_received(known: AdmissionFacts) -> None:
    verdict = judge(known, RULES, START, Stage.RECEPTION)
    assert verdict.allowed
    assert {gate.rule for gate in verdict.gates} == set(RULES.kinds[ConsultKind.FOLLOW_UP].gates)
    assert {gate.state for gate in verdict.gates} == {GateState.PASSED}
    assert known.attestation is not None and known.attestation.id in verdict.evidence_read
    assert known.filings[0].id in verdict.evidence_read


# -- CN-01, CN-02: institution, department ----------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "expected"), [(-1, ("gate.institution_licence",)), (0, ()), (1, ())])
@pytest.mark.parametrize("stage", [Stage.BOOKING, Stage.JOIN, Stage.RECEPTION])
async def test_cn_01_licence_the_day_before_on_and_after(
    known: AdmissionFacts, days: int, expected: tuple[str, ...], stage: Stage
) -> None:
    facts = of(known, "institution", licence_valid_to=TODAY + days * DAY)
    assert codes(facts, stage=stage) == expected
    assert codes(facts, relaxed("CN-01"), stage) == ()


async def test_cn_01_midnight_is_the_institutions_own(known: AdmissionFacts) -> None:
    facts = of(known, "institution", licence_valid_to=TODAY)
    evening = datetime.fromisoformat("2026-03-02T15:59:59+00:00")  # 23:59:59 in Shanghai
    late = replace(facts, authentication=None)
    assert codes(late, stage=Stage.JOIN, now=evening) == ("gate.too_late",)
    assert "gate.institution_licence" in codes(late, stage=Stage.JOIN, now=evening + timedelta(seconds=1))


async def test_cn_02_department_of_house_and_doctor(known: AdmissionFacts) -> None:
    assert codes(of(known, "institution", departments=("09",))) == ("gate.department_unlicensed",)
    assert codes(of(known, "doctor", practice_scope=("09",))) == ("gate.doctor_scope",)
    assert codes(of(known, "doctor", practice_scope=("09", CARDIOLOGY))) == ()
    assert codes(of(known, "doctor", practice_scope=()), relaxed("CN-02")) == ()


# -- CN-03: the doctor ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "years", "expected"),
    [
        (date(2023, 3, 1), 3, ()),
        (date(2023, 3, 2), 3, ()),
        (date(2023, 3, 3), 3, ("gate.doctor_experience",)),
        (date(2023, 3, 2), 5, ("gate.doctor_experience",)),
        (date(2021, 3, 2), 5, ()),
    ],
)
async def test_cn_03_years_before_on_after_and_under_a_province(
    known: AdmissionFacts, since: date, years: int, expected: tuple[str, ...]
) -> None:
    rules = RULES if years == 3 else strict(CN_03={"minimum_years": years})
    assert codes(of(known, "doctor", independent_since=since), rules) == expected


@pytest.mark.parametrize("field", ["licence_valid_to", "verified_until"])
@pytest.mark.parametrize(("days", "good"), [(-1, False), (0, True), (1, True)])
async def test_cn_03_licence_and_verification_the_day_before_on_and_after(
    known: AdmissionFacts, field: str, days: int, good: bool
) -> None:
    code = {"licence_valid_to": "gate.doctor_unlicensed", "verified_until": "gate.doctor_unverified"}[field]
    assert codes(of(known, "doctor", **{field: TODAY + days * DAY})) == (() if good else (code,))


# -- CN-04: the doctor themselves -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "minutes", "expected"),
    [
        (0, 10, ()),
        (600, 10, ()),
        (601, 10, ("gate.doctor_authentication",)),
        (300, 5, ()),
        (301, 5, ("gate.doctor_authentication",)),
    ],
)
async def test_cn_04_the_minute_before_on_and_after(
    known: AdmissionFacts, seconds: int, minutes: int, expected: tuple[str, ...]
) -> None:
    proven = Authentication(known.doctor.id, known.doctor.institution_id, "login", START - timedelta(seconds=seconds))
    rules = RULES if minutes == 10 else strict(CN_04={"step_up_minutes": minutes})
    assert codes(replace(known, authentication=proven), rules) == expected
    assert codes(replace(known, authentication=proven), rules, Stage.JOIN) == ()  # waiting asks nobody's password


async def test_cn_04_never_authenticated_and_a_reception_that_has_begun(known: AdmissionFacts) -> None:
    never = replace(known, authentication=None)
    assert codes(never) == ("gate.doctor_authentication",)
    assert codes(replace(never, received_at=START - timedelta(hours=1))) == ()


async def test_cn_04_one_room_at_a_time(known: AdmissionFacts) -> None:
    busy = replace(known, present=Present(doctor_elsewhere=True))
    assert codes(busy) == codes(busy, stage=Stage.JOIN) == ("gate.doctor_elsewhere",)
    rule = replace(RULES.rules["CN-04"], values={"step_up_minutes": 10, "one_session": 0})
    assert codes(busy, replace(RULES, rules={**RULES.rules, "CN-04": rule})) == ()


# -- CN-05: practice filing -------------------------------------------------------------------------------------------


def filed(known: AdmissionFacts, first: date, last: date | None, revoked: bool = False) -> AdmissionFacts:
    row = PracticeFiling(
        "f", known.institution.id, known.doctor.id, FilingKind.FILED, "1", first, last, "a", START,
        START if revoked else None,
    )  # fmt: skip
    return replace(known, filings=(row,))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (TODAY - DAY, TODAY - DAY, ("gate.practice_filing_expired",)),
        (TODAY - DAY, TODAY, ()),
        (TODAY - DAY, TODAY + DAY, ()),
        (TODAY, None, ()),
        (TODAY + DAY, None, ("gate.practice_filing_expired",)),
    ],
)
async def test_cn_05_filing_before_on_and_after_its_days(
    known: AdmissionFacts, first: date, last: date | None, expected: tuple[str, ...]
) -> None:
    for stage in (Stage.BOOKING, Stage.JOIN, Stage.RECEPTION):
        assert codes(filed(known, first, last), stage=stage) == expected
    assert codes(filed(known, first, last), relaxed("CN-05")) == ()


async def test_cn_05_none_and_revoked(known: AdmissionFacts) -> None:
    assert codes(replace(known, filings=())) == ("gate.practice_unfiled",)
    assert codes(filed(known, TODAY, None, revoked=True)) == ("gate.practice_unfiled",)


async def test_cn_05_is_asked_per_institution(world: World) -> None:
    async with world.db.begin() as tx:
        row = (await tx.practice_filings.find(staff_id=world.doctor.id))[0]
        await tx.practice_filings.remove(row.id)
        moved = replace(row, id="elsewhere", institution_id=world.partner.id)
        await tx.practice_filings.add(moved)
        for house in (world.home, world.partner):
            from audit.events import EventCode
            from audit.transaction import AuditEvent

            await tx.append(AuditEvent(EventCode.PRACTICE_REVOKED, house.id, "system"))
    with pytest.raises(AdmissionRefused) as refused:
        await world.book()
    assert refused.value.reasons == ("gate.practice_unfiled",)


# -- CN-06: identity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "needed", "good"), [(1, 2, False), (2, 2, True), (3, 2, True), (2, 3, False), (3, 3, True)]
)
async def test_cn_06_identity_level_below_at_and_above(
    known: AdmissionFacts, level: int, needed: int, good: bool
) -> None:
    rules = RULES if needed == 2 else strict(CN_06={"minimum_identity_level": needed})
    assert codes(of(known, "patient", identity_level=level), rules) == (() if good else ("gate.identity_level",))


# -- CN-07: follow-up -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "window", "good"),
    [(89, 90, True), (90, 90, True), (91, 90, False), (0, 90, True), (60, 60, True), (61, 60, False)],
)
async def test_cn_07_window_the_day_before_on_and_after(
    known: AdmissionFacts, days: int, window: int, good: bool
) -> None:
    visited = TODAY - days * DAY
    facts = replace(known, evidence=(replace(known.evidence[0], visited_on=visited.isoformat()),))
    facts = of(facts, "attestation", visited_on=visited)
    rules = RULES if window == 90 else strict(CN_07={"window_days": window})
    assert codes(facts, rules) == (() if good else ("gate.followup_too_old",))


async def test_cn_07_attestation_is_asked_at_the_reception_only(known: AdmissionFacts) -> None:
    without = replace(known, attestation=None)
    assert codes(without, stage=Stage.JOIN) == ()
    assert codes(without) == ("gate.followup_unattested",)
    rule = replace(RULES.rules["CN-07"], values={"window_days": 90, "attestation": 0})
    assert codes(without, replace(RULES, rules={**RULES.rules, "CN-07": rule})) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"doctor_id": "another"},
        {"evidence_id": "another"},
        {"visited_on": TODAY - 91 * DAY},
        {"visited_on": TODAY + DAY},
    ],
)
async def test_cn_07_a_word_of_somebody_else_or_of_another_visit_is_none(
    known: AdmissionFacts, wrong: dict[str, Any]
) -> None:
    assert codes(of(known, "attestation", **wrong)) == ("gate.followup_unattested",)


async def test_cn_07_evidence_missing_and_of_another_department(known: AdmissionFacts) -> None:
    other: FollowUpEvidence = replace(known.evidence[0], department="09")
    assert codes(replace(known, evidence=())) == ("gate.followup_missing",)
    assert codes(replace(known, evidence=(other,))) == ("gate.followup_department",)


# -- CN-08: what is not bound by CN-07 --------------------------------------------------------------------------------


async def test_cn_08_the_kind_selects_the_gates(known: AdmissionFacts) -> None:
    bare = replace(known, evidence=(), attestation=None)
    advice = of(bare, "consult", kind=ConsultKind.ADVICE)
    assert codes(bare) == ("gate.followup_missing",)
    assert codes(advice) == ()
    assert codes(of(bare, "consult", kind=ConsultKind.FAMILY_DOCTOR)) == ("gate.agreement_missing",)
    assert {gate.rule for gate in judge(advice, RULES, START).gates} == set(RULES.kinds[ConsultKind.ADVICE].gates)


@pytest.mark.parametrize(
    ("signed", "to", "ended", "expected"),
    [
        (TODAY, TODAY, False, ()),
        (TODAY - DAY, TODAY - DAY, False, ("gate.agreement_expired",)),
        (TODAY + DAY, TODAY + 9 * DAY, False, ("gate.agreement_expired",)),
        (TODAY - DAY, TODAY + DAY, False, ()),
        (TODAY - DAY, TODAY + DAY, True, ("gate.agreement_missing",)),
    ],
)
async def test_cn_08_agreement_before_on_and_after_its_days(
    known: AdmissionFacts, signed: date, to: date, ended: bool, expected: tuple[str, ...]
) -> None:
    row = Agreement(
        "g", known.institution.id, known.patient.id, known.doctor.id, "JY-1", signed, to, "n", START,
        START if ended else None,
    )  # fmt: skip
    facts = replace(
        of(known, "consult", kind=ConsultKind.FAMILY_DOCTOR), agreements=(row,), evidence=(), attestation=None
    )
    for stage in (Stage.BOOKING, Stage.JOIN, Stage.RECEPTION):
        assert codes(facts, stage=stage) == expected
    assert codes(facts, relaxed("CN-08")) == ()


@pytest.mark.parametrize(
    ("on", "suspended"), [("2026-02-28", False), ("2026-03-01", True), ("2026-03-31", True), ("2026-04-01", False)]
)
async def test_cn_08_d_a_dated_notice_from_its_first_to_its_last_day(
    known: AdmissionFacts, on: str, suspended: bool
) -> None:
    notice = load_overlay(
        overlay(
            layer="emergency", province=None, effective_from="2026-03-01", effective_to="2026-03-31",
            rules={}, relaxes=["CN-07"],
        )
    )  # fmt: skip
    rules = layered(RULES, [notice], "33", date.fromisoformat(on))
    verdict = judge(replace(known, evidence=()), rules, START)
    assert verdict.allowed is suspended
    gate = next(gate for gate in verdict.gates if gate.rule == "CN-07")
    assert gate.state is (GateState.RELAXED if suspended else GateState.FAILED)
    assert gate.notice == (notice.layer.version if suspended else None)
    assert (notice.layer.version in verdict.rules_version) is suspended
