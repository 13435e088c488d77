"""What is read aloud: exactly what is shown, values filled in, under an id made of it; nothing else ever."""

from dataclasses import replace

from consent import desk, speech
from consent.templates import Rendered
from tests.support.builders import World

VOICE = "test/1"


async def shown(world: World, seat_id: str, locale: str = "zh") -> Rendered:
    async with world.db.read() as tx:
        return await desk.wording(tx, seat_id, locale)


async def test_sections_and_questions_are_said_with_their_values(world: World) -> None:
    booked = await world.book()
    text = await shown(world, booked.patient_seat.id)
    said = speech.spoken(text)
    assert set(said) == {*(row.key for row in text.sections), "question.treat", "question.rec_av"}
    assert "人民币30.00元" in said["fee"]
    assert text.questions[0].if_refused in said["question.treat"]


async def test_ids_follow_the_words_not_the_visit(world: World) -> None:
    first = await shown(world, (await world.book()).patient_seat.id)
    second = await shown(world, (await world.book(fee_cents=5000)).patient_seat.id)
    one, two = speech.clips(VOICE, "zh", first), speech.clips(VOICE, "zh", second)
    assert {key for key in one if one[key] != two[key]} == {"fee"}, "only what is said differently is made anew"
    assert speech.clips("test/2", "zh", first)["fee"] != one["fee"]
    assert all(len(clip) == 32 for clip in one.values())


async def test_without_a_voice_nothing_is_offered(world: World) -> None:
    text = await shown(world, (await world.book()).patient_seat.id)
    assert speech.clips(None, "zh", text) == {}


async def test_only_the_seats_own_text_has_a_sound(world: World) -> None:
    booked = await world.book()
    english = await shown(world, booked.patient_seat.id, "en")
    clip = speech.clips(VOICE, "en", english)["fee"]
    async with world.db.read() as tx:
        found = await speech.words_of(tx, booked.patient_seat.id, VOICE, clip)
        assert found == ("en", speech.spoken(english)["fee"])
        assert await speech.words_of(tx, booked.patient_seat.id, VOICE, "0" * 32) is None


async def test_who_decides_anew_hears_also_what_they_refused(world: World) -> None:
    booked = await world.book()
    await world.sign(booked.patient_seat, rec_av=False)
    async with world.db.read() as tx:
        anew = await desk.wording(tx, booked.patient_seat.id, "zh", again=True)
        clip = speech.clips(VOICE, "zh", anew)["question.rec_av"]
        assert await speech.words_of(tx, booked.patient_seat.id, VOICE, clip) is not None
        assert "question.rec_av" not in speech.spoken(await desk.wording(tx, booked.patient_seat.id, "zh"))


async def test_a_further_language_is_left_to_the_phones_own_voice(world: World) -> None:
    text = await shown(world, (await world.book()).patient_seat.id)
    assert speech.clips(VOICE, "bo", text) == {}


async def test_what_is_too_long_to_be_said_in_one_piece_is_left_to_the_eye(world: World) -> None:
    text = await shown(world, (await world.book()).patient_seat.id)
    endless = replace(text, sections=(replace(text.sections[0], body="长" * speech.LONGEST), *text.sections[1:]))
    assert text.sections[0].key not in speech.spoken(endless)
