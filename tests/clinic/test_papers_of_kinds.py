"""What a kind's papers may say and which close it: advice, family doctor, remote diagnosis; CN-09 and CN-11."""

from dataclasses import replace
from typing import Any

import pytest

from clinic import notes, registration, visit
from clinic.actor import Actor
from clinic.consult import ConsultKind, ConsultStatus
from clinic.errors import DiagnosisNotAllowed, IllegalMove, InvalidInput, PrescriptionInText, Unsigned
from clinic.notes import NoteText
from clinic.panels import dossier
from clinic.prescribing import prescribes
from clinic.rulebook import in_force
from tests.support.builders import World
from tests.support.clock import START


@pytest.mark.parametrize(
    "text",
    [
        "氨氯地平 5mg qd",
        "口服布洛芬0.3g tid",
        "每次1片，每日3次",
        "阿司匹林 100 毫克 每日一次",
        "qn 瑞舒伐他汀 10mg",
        "Rp: aspirin",
        "处方：阿司匹林",
        "one more: 1 tablet twice daily",
        "prescription: as before",
        "amoxicillin 500 mg every 8 hours",
        "2 drops 3 times a day",
    ],
)
def test_cn_11_a_dose_with_its_frequency_is_a_prescription(text: str) -> None:
    assert prescribes(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "继续服药",
        "继续原方案,三个月后复诊",
        "血压 150/90 mmHg，每日测量",
        "每天步行30分钟",
        "每日食盐少于5克",
        "每天饮水1500ml",
        "空腹血糖 6.1 mmol/L",
        "尿蛋白 300 mg/L，每日复查",
        "家测血压 128/78 mmHg",
        "walk 30 minutes daily",
        "keep taking the tablets as before",
        "5mg。每日复查",  # another sentence
    ],
)
def test_cn_11_advice_and_findings_are_none(text: str) -> None:
    assert not prescribes(text)


async def advising(world: World) -> Any:
    booked = await world.book(kind=ConsultKind.ADVICE, evidence=())
    return await world.call(booked)


async def test_advice_names_no_diagnosis_and_prescribes_nothing(world: World) -> None:
    consult = await advising(world)
    by = Actor.staff(world.doctor)
    for text, refusal in (
        (NoteText("头晕", "", "高血压", "多休息"), DiagnosisNotAllowed),
        (NoteText("头晕", "", "", "氨氯地平 5mg qd"), PrescriptionInText),
    ):
        with pytest.raises(refusal) as refused:
            async with world.db.begin() as tx:
                await notes.save_draft(tx, consult.id, text, by)
    assert refused.value.code == "doc.prescribes"
    assert refused.value.field == "advice"  # type: ignore[attr-defined]
    async with world.db.begin() as tx:
        await visit.conclude(tx, consult.id, by)
        with pytest.raises(Unsigned):
            await visit.close(tx, consult.id, by)
        await notes.save_draft(tx, consult.id, NoteText("头晕", "", "", "到医院测量血压"), by)
        await notes.sign(tx, world.sealer, consult.id, by)
        assert (await visit.close(tx, consult.id, by)).status is ConsultStatus.CLOSED


async def test_a_draft_written_before_is_asked_again_when_it_is_signed(world: World) -> None:
    consult = await advising(world)
    by = Actor.staff(world.doctor)
    async with world.db.begin() as tx:
        note = await notes.save_draft(tx, consult.id, NoteText("头晕", "", "", "多休息"), by)
        await tx.visit_notes.save(replace(note, diagnosis="高血压"))
        with pytest.raises(DiagnosisNotAllowed):
            await notes.sign(tx, world.sealer, consult.id, by)
        await tx.visit_notes.save(note)
        await notes.sign(tx, world.sealer, consult.id, by)


async def test_cn_11_a_follow_up_may_name_a_dose_unless_the_province_says_no(world: World) -> None:
    consult = await world.call(await world.book())
    by, text = Actor.staff(world.doctor), NoteText("头晕", "", "高血压", "氨氯地平 5mg qd")
    async with world.db.begin() as tx:
        await notes.save_draft(tx, consult.id, text, by)
        await registration.change_institution(tx, world.home.id, {"province": "99"}, world.system)
    with pytest.raises(PrescriptionInText):
        async with world.db.begin() as tx:
            await notes.save_draft(tx, consult.id, text, by)


async def test_cn_09_the_reasons_to_stop_are_the_rule_sets(world: World) -> None:
    codes = in_force(START.date()).rules["CN-09"].codes
    assert {"condition_changed", "first_visit"} <= set(codes)
    assert all(words.zh and words.en for words in codes.values())
    for code in codes:
        running = await world.call(await world.book())
        async with world.db.begin() as tx:
            ended = await visit.terminate(tx, running.id, Actor.staff(world.doctor), code)
        assert (ended.status, ended.outcome_code) == (ConsultStatus.TERMINATED_UNSUITABLE, code)
        with pytest.raises(IllegalMove):  # and nothing is written or prescribed after
            async with world.db.begin() as tx:
                await notes.save_draft(tx, running.id, NoteText("", "", "", "氨氯地平"), Actor.staff(world.doctor))
    running = await world.call(await world.book())
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await visit.terminate(tx, running.id, Actor.staff(world.doctor), "tired")


def test_cn_09_the_advice_sends_to_a_hospital_and_prescribes_nothing() -> None:
    assert visit.require_advice(" 请到急诊 ") == "请到急诊"
    with pytest.raises(PrescriptionInText) as refused:
        visit.require_advice("先吃布洛芬 0.3g tid")
    assert refused.value.field == "advice"


async def test_a_remote_diagnosis_closes_with_the_opinion_alone(world: World) -> None:
    booked = await world.book(kind=ConsultKind.REMOTE_DIAGNOSIS, doctor_id=world.clinic_doctor.id, evidence=())
    by = Actor.staff(world.clinic_doctor)
    seats = [await world.answer(invitation) for invitation in await world.ask(booked.consult)]
    async with world.db.read() as tx:
        assert (await tx.cases.find(consult_id=booked.consult.id))[0].liability_mode == "shared"
    await world.enter(booked.doctor_seat)
    await world.enter(seats[0])  # type: ignore[arg-type]
    async with world.db.begin() as tx:
        await visit.conclude(tx, booked.consult.id, by)
        with pytest.raises(Unsigned) as missing:
            await visit.close(tx, booked.consult.id, by)
    assert str(missing.value) == "opinion"
    await world.opinion(booked.consult, world.experts[0])
    async with world.db.begin() as tx:
        joint = await dossier.dossier(tx, await tx.consults.get(booked.consult.id))
        assert joint["decision"] is None
        assert joint["request"]["liability"] == "shared"
        assert (await visit.close(tx, booked.consult.id, by)).status is ConsultStatus.CLOSED
