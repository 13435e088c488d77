"""Every gate CN-01 ... CN-13 and HZ-02 ... HZ-04: it passes, it fails, at its edge, and under an overlay."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from clinic import attesting, booking, guardians
from clinic.actor import Actor
from clinic.admission import AdmissionFacts, GateState, Present, Stage, facts_of, judge
from clinic.consult import ConsultKind, FollowUpEvidence
from clinic.errors import AdmissionRefused
from clinic.facts import Attestation, Authentication, DutyShift, FilingKind, Guardianship, PracticeFiling, Whereabouts
from clinic.facts import ServiceAgreement as Agreement
from clinic.overlays import layered, load_overlay
from clinic.people import Role
from clinic.rulebook import RuleSet, in_force
from tests.clinic.overlay_source import overlay
from tests.support.builders import CARDIOLOGY, World
from tests.support.clock import START

TODAY = date(2026, 3, 2)
RULES = in_force(TODAY)
DAY = timedelta(days=1)


def strict(**values: dict[str, int]) -> RuleSet:
    """The national rules under a provincial overlay with these values: `strict(CN_07={"window_days": 10})`."""
    rules = {name.replace("_", "-"): each for name, each in values.items()}
    return layered(RULES, [load_overlay(overlay(rules=rules))], "98", TODAY)


def relaxed(*gates: str) -> RuleSet:
    source = overlay(layer="emergency", province=None, effective_to="2026-12-31", rules={}, relaxes=list(gates))
    return layered(RULES, [load_overlay(source)], None, TODAY)


@pytest.fixture
async def known(world: World) -> AdmissionFacts:
    """A follow-up that meets every gate."""
    booked = await world.book()
    async with world.db.read() as tx:
        return await facts_of(tx, booked.consult)


def codes(facts: AdmissionFacts, rules: RuleSet = RULES, stage: Stage = Stage.RECEPTION, now: datetime = START) -> Any:
    return judge(facts, rules, now, stage).codes


def of(facts: AdmissionFacts, who: str, **values: Any) -> AdmissionFacts:
    return replace(facts, **{who: replace(getattr(facts, who), **values)})


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


# -- CN-10, HZ-04: small children -------------------------------------------------------------------------------------


def child(known: AdmissionFacts, born: date, proof: str = "birth_certificate", **more: Any) -> AdmissionFacts:
    guardian = Guardianship(
        "g", known.institution.id, known.patient.id, "张母", "母亲", proof, "B1" if proof else "", "n", START
    )
    facts = replace(
        of(known, "patient", birth_date=born), guardians=(guardian,), present=Present(guardian_on_camera=True)
    )
    return replace(facts, **more)


@pytest.mark.parametrize(
    ("born", "small"), [(date(2020, 3, 3), True), (date(2020, 3, 2), False), (date(2020, 3, 1), False)]
)
async def test_cn_10_the_day_before_on_and_after_the_sixth_birthday(
    known: AdmissionFacts, born: date, small: bool
) -> None:
    assert codes(child(known, born)) == ()
    assert codes(child(known, born, guardians=())) == (("gate.guardian_missing",) if small else ())
    unseen = child(known, born, present=Present())
    assert codes(unseen) == (("gate.guardian_not_on_camera",) if small else ())
    assert codes(unseen, stage=Stage.JOIN) == ()


async def test_cn_10_proof_end_and_a_stricter_age(known: AdmissionFacts) -> None:
    young = date(2021, 1, 1)
    assert codes(child(known, young, proof="")) == ("gate.guardian_unproven",)
    ended = child(known, young)
    ended = replace(ended, guardians=(replace(ended.guardians[0], ended_at=START),))
    assert codes(ended) == ("gate.guardian_missing",)
    eight = child(known, date(2018, 3, 3), guardians=())
    assert codes(eight) == ()
    assert codes(eight, strict(CN_10={"under_age": 8})) == ("gate.guardian_missing",)
    rule = replace(RULES.rules["CN-10"], values={"under_age": 6, "proof": 0})
    assert codes(child(known, young, proof=""), replace(RULES, rules={**RULES.rules, "CN-10": rule})) == ()


async def test_hz_04_the_guardian_first_and_throughout(known: AdmissionFacts) -> None:
    young = child(known, date(2021, 1, 1), present=Present(guardian_on_camera=False))
    assert codes(young) == codes(young, stage=Stage.RUNNING) == ("gate.guardian_not_on_camera",)
    coming = replace(young, present=Present(entering=Role.GUARDIAN))
    assert codes(coming) == ()
    rule = replace(RULES.rules["HZ-04"], values={"on_camera": 0})
    assert codes(young, replace(RULES, rules={**RULES.rules, "HZ-04": rule})) == ()
    running = judge(young, RULES, START, Stage.RUNNING)
    assert {gate.state for gate in running.gates if gate.rule != "HZ-04"} == {GateState.LATER}


# -- CN-12, CN-13 -----------------------------------------------------------------------------------------------------


async def test_cn_12_consent_unsigned_signed_and_not_known_here(known: AdmissionFacts) -> None:
    assert codes(replace(known, present=Present(consented=False))) == ("gate.consent_missing",)
    assert codes(replace(known, present=Present(consented=True))) == ()
    assert codes(replace(known, present=Present(consented=None))) == ()
    assert codes(replace(known, present=Present(consented=False)), stage=Stage.JOIN) == ()
    assert codes(replace(known, present=Present(consented=False)), relaxed("CN-12")) == ()


async def test_cn_13_the_doctors_card(known: AdmissionFacts) -> None:
    assert codes(of(known, "doctor", title=" ")) == ("gate.card_incomplete",)
    assert codes(of(known, "doctor", name=" ")) == ("gate.card_incomplete",)
    rule = replace(RULES.rules["CN-13"], values={"title": 0})
    assert codes(of(known, "doctor", title=""), replace(RULES, rules={**RULES.rules, "CN-13": rule})) == ()


# -- HZ-02, HZ-03 -----------------------------------------------------------------------------------------------------


async def test_hz_02_is_a_reminder_until_a_province_requires_it(known: AdmissionFacts) -> None:
    required = strict(HZ_02={"required": 1})
    assert codes(known) == ()
    assert codes(known, required) == ("gate.whereabouts_unknown",)
    assert codes(known, required, Stage.JOIN) == ()
    told = Whereabouts("w", known.institution.id, known.consult.id, "sealed", "seat", START)
    assert codes(replace(known, whereabouts=told), required) == ()


@pytest.mark.parametrize(
    ("begins", "ends", "changes", "good"),
    [
        (0, 60, {}, True),  # the minute it begins
        (1, 60, {}, False),
        (-60, 1, {}, True),
        (-60, 0, {}, False),  # the minute it ends
        (-60, 60, {"department": "09"}, False),
        (-60, 60, {"cancelled_at": START}, False),
    ],
)
async def test_hz_03_on_duty_the_minute_before_on_and_after(
    known: AdmissionFacts, begins: int, ends: int, changes: dict[str, Any], good: bool
) -> None:
    shift = DutyShift(
        "s", known.institution.id, known.doctor.id, CARDIOLOGY,
        START + timedelta(minutes=begins), START + timedelta(minutes=ends), "a", START,
    )  # fmt: skip
    facts = replace(known, shifts=(replace(shift, **changes),))
    required = strict(HZ_03={"required": 1})
    expected = () if good else ("gate.doctor_off_duty",)
    assert codes(facts) == ()
    for stage in (Stage.BOOKING, Stage.JOIN, Stage.RECEPTION):
        assert codes(facts, required, stage) == expected
    assert codes(replace(facts, received_at=START), required) == ()


# -- facts as the use cases leave them ---------------------------------------------------------------------------------


async def test_a_child_with_its_guardian_is_admitted(world: World) -> None:
    from clinic import registration, visit
    from clinic.people import IdentityLevel
    from tests.support.builders import patient

    async with world.db.begin() as tx:
        new = patient(world.home.id, birth_date=date(2021, 5, 1), identity_level=IdentityLevel.L2)
        kid = await registration.create_patient(tx, new, world.system)
    booked = await world.book(patient_id=kid.id)
    with pytest.raises(AdmissionRefused) as refused:
        await world.enter(booked.patient_seat)
    assert refused.value.reasons == ("gate.guardian_missing",)
    async with world.db.begin() as tx:
        mother = guardians.NewGuardian("张母", "母亲", "household_register", "H-1")
        await guardians.record_guardian(tx, kid.id, mother, world.system)
    await world.enter(booked.patient_seat)
    guest = await world.guest(booked.consult, "张母", Role.GUARDIAN)
    await world.enter(guest)
    await world.admit(guest)
    with pytest.raises(AdmissionRefused) as refused:
        await world.admit(booked.patient_seat)
    assert refused.value.reasons == ("gate.guardian_not_on_camera",)
    async with world.db.begin() as tx:
        seen = Present(consented=True, guardian_on_camera=True)
        by = Actor.staff(world.doctor)
        entered = await visit.admit(tx, booked.consult.id, booked.patient_seat.id, by, present=seen)
    assert entered.admission is not None and entered.admission.stage is Stage.RECEPTION


async def test_booking_reads_agreements_and_shifts(world: World) -> None:
    with pytest.raises(AdmissionRefused) as refused:
        await world.book(kind=ConsultKind.FAMILY_DOCTOR, evidence=())
    assert refused.value.reasons == ("gate.agreement_missing",)
    async with world.db.begin() as tx:
        new = guardians.NewAgreement(world.doctor.id, "JY-1", TODAY, TODAY + 365 * DAY)
        await guardians.record_agreement(tx, world.patient.id, new, world.system)
    booked = await world.book(kind=ConsultKind.FAMILY_DOCTOR, evidence=())
    assert (await world.call(booked)).opened_at is not None
    assert booked.doctor_seat.role is Role.ATTENDING


async def test_a_later_attestation_takes_the_place_of_the_earlier(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        await booking.add_evidence(
            tx, booked.consult.id,
            booking.NewEvidence(CARDIOLOGY, "2026-02-20", "县人民医院", "高血压 2 级", "MZ2"), world.system,
        )  # fmt: skip
        newer = (await tx.follow_up_evidence.find(consult_id=booked.consult.id))[1]
        signed: Attestation = await attesting.attest(
            tx, world.sealer, booked.consult.id, newer.id, "高血压 2 级", Actor.staff(world.doctor)
        )
        facts = await facts_of(tx, booked.consult)
    assert facts.attestation == signed
    assert signed.signature.startswith("seal.")
