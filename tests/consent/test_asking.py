"""Which purposes are asked, and that a no is not asked again (条例 art. 22)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.actor import Actor
from clinic.errors import InvalidInput, NotPermitted
from consent import asking, choices, desk
from consent.asking import choose
from consent.choices import Choices
from consent.errors import AlreadyRefused, DecisionIncomplete, NothingToAsk, SeatCannotSign, WordingChanged
from consent.records import Purpose
from consent.standing import Standing
from tests.support.builders import World, signing

EXTRA = (Purpose.INTIMATE, Purpose.AI_TRANSCRIBE)


async def choose_for(world: World, *purposes: Purpose, **names: str) -> None:
    async with world.db.begin() as tx:
        await choices.change(tx, Actor.staff(world.admin), Choices(("zh", "en"), purposes, **names))


async def ask(world: World, seat_id: str, *purposes: Purpose, by: Actor) -> None:
    async with world.db.begin() as tx:
        await asking.ask(tx, seat_id, purposes, reason="需要查看皮疹", by=by)


@given(
    available=st.lists(st.sampled_from(list(Purpose)), unique=True),
    wanted=st.sets(st.sampled_from(list(Purpose))),
    said=st.dictionaries(st.sampled_from(list(Purpose)), st.sampled_from(list(Standing))),
    again=st.booleans(),
)
def test_nothing_refused_is_among_the_questions(
    available: list[Purpose], wanted: set[Purpose], said: dict[Purpose, Standing], again: bool
) -> None:
    shown = choose(available, wanted, said, again=again)
    assert list(shown) == [each for each in available if each in shown]
    for purpose in available:
        no = said.get(purpose) in (Standing.REFUSED, Standing.WITHDRAWN)
        assert (purpose in shown) == (purpose in wanted and (again or not no))


async def test_only_what_the_institution_asks_for_is_shown(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    assert [row.purpose for row in shown.text.questions] == [Purpose.TREAT, Purpose.REC_AV]
    await choose_for(world, Purpose.XBORDER, Purpose.RESEARCH, Purpose.TEACH, ethics_id="IRB-7", abroad="Hospital X")
    for locale in ("zh", "en"):
        async with world.db.begin() as tx:
            shown = await desk.present(tx, booked.patient_seat.id, locale)
        asked = {row.purpose: row for row in shown.text.questions}
        assert list(asked) == [
            Purpose.TREAT,
            Purpose.REC_AV,
            Purpose.TEACH,
            Purpose.RESEARCH,
            Purpose.XBORDER,
        ]
        assert "IRB-7" in asked[Purpose.RESEARCH].question
        assert "Hospital X" in asked[Purpose.XBORDER].question
        assert [row.purpose for row in shown.text.questions if row.blocks_care] == [Purpose.TREAT]


async def test_a_text_signed_before_the_institution_asked_for_more_is_shown_again(world: World) -> None:
    booked = await world.book()
    async with world.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
    await choose_for(world, Purpose.TEACH)
    with pytest.raises(WordingChanged):
        async with world.db.begin() as tx:
            await desk.sign(tx, world.sealer, booked.patient_seat.id, signing(shown, "张建明"))


async def test_staff_ask_for_more_during_the_consult(world: World) -> None:
    booked = await world.book()
    await world.call(booked)
    seat = booked.patient_seat
    doctor = Actor.seated(booked.doctor_seat)
    await ask(world, seat.id, *EXTRA, by=doctor)
    assert world.db.events[-1].public == {"purposes": ["intimate", "ai_transcribe"]}
    async with world.db.begin() as tx:
        records = await desk.records_of(tx, booked.consult.id)
        left = await asking.outstanding(tx, booked.consult, seat, records)
        shown = await desk.present(tx, seat.id, "zh")
    assert left == {
        Purpose.TREAT: Standing.PERMITTED,
        Purpose.REC_AV: Standing.PERMITTED,
        Purpose.INTIMATE: Standing.UNDECIDED,
        Purpose.AI_TRANSCRIBE: Standing.UNDECIDED,
    }
    assert [row.purpose for row in shown.text.questions][2:] == list(EXTRA)
    assert (await world.sign(seat, intimate=False)).refused == (Purpose.INTIMATE,)
    for purposes in ([*EXTRA], [Purpose.INTIMATE]):
        with pytest.raises(AlreadyRefused) as refused:
            await ask(world, seat.id, *purposes, by=doctor)
        assert refused.value.purposes == ("intimate",)
    for purposes in ([Purpose.AI_TRANSCRIBE], []):
        with pytest.raises(NothingToAsk):
            await ask(world, seat.id, *purposes, by=doctor)
    with pytest.raises(SeatCannotSign):
        await ask(world, booked.doctor_seat.id, Purpose.TEACH, by=doctor)
    with pytest.raises(NotPermitted):
        await ask(world, seat.id, Purpose.TEACH, by=Actor.staff(world.nurse))  # without a seat
    guest = await world.guest(booked.consult)
    with pytest.raises(NothingToAsk):  # the guests' text has no such question
        await ask(world, guest.id, Purpose.OBSERVE, by=doctor)


async def test_a_no_is_asked_again_only_when_the_person_wishes(world: World) -> None:
    booked = await world.book()
    seat = booked.patient_seat
    await world.sign(seat, rec_av=False)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, seat.id, "zh")
    assert [row.purpose for row in shown.text.questions] == [Purpose.TREAT]
    assert world.db.events[-1].public["again"] is False
    both = signing(shown, "张建明")
    with pytest.raises((DecisionIncomplete, WordingChanged)):  # the refused one cannot be slipped in
        async with world.db.begin() as tx:
            await desk.sign(tx, world.sealer, seat.id, signing_with(both, {Purpose.TREAT: True, Purpose.REC_AV: True}))
    async with world.db.begin() as tx:
        shown = await desk.present(tx, seat.id, "zh", again=True)
        assert [row.purpose for row in shown.text.questions] == [Purpose.TREAT, Purpose.REC_AV]
        record = await desk.sign(tx, world.sealer, seat.id, signing(shown, "张建明"))
    assert Purpose.REC_AV in record.permitted
    assert world.db.events[-1].public["again"] is True


def signing_with(given: desk.Signing, decisions: dict[Purpose, bool]) -> desk.Signing:
    from dataclasses import replace

    return replace(given, decisions=decisions)


async def test_nothing_left_but_refusals(world: World) -> None:
    booked = await world.book()
    guest = await world.guest(booked.consult)
    async with world.db.begin() as tx:
        shown = await desk.present(tx, guest.id, "zh")
    await world.sign(guest, rec_av=False)
    with pytest.raises(AlreadyRefused) as refused:
        async with world.db.begin() as tx:
            await desk.present(tx, guest.id, "zh")
    assert refused.value.purposes == ("rec_av",)
    with pytest.raises(NothingToAsk):
        async with world.db.begin() as tx:
            await desk.sign(tx, world.sealer, guest.id, signing(shown, guest.display_name))


async def test_staff_and_houses_without_texts_are_asked_nothing(world: World) -> None:
    booked = await world.book()
    async with world.db.read() as tx:
        assert await asking.outstanding(tx, booked.consult, booked.doctor_seat, []) == {}
        for row in await tx.consent_templates.find(institution_id=world.home.id):
            assert row.questions
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await desk.present(tx, booked.patient_seat.id, "ug")


async def test_no_asking_once_the_visit_is_over(world: World) -> None:
    booked = await world.book()
    consult = await world.call(booked)
    await world.finish(consult)
    with pytest.raises((SeatCannotSign, NotPermitted)):
        await ask(world, booked.patient_seat.id, Purpose.TEACH, by=Actor.seated(booked.doctor_seat))
