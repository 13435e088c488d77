"""Privacy pauses, exam views, declared people, observers, late joiners: what the media does the moment it is said."""

import asyncio
from dataclasses import replace
from typing import Any

from clinic import visit
from clinic.actor import Actor
from consent import interludes
from consent.gate import ExamViews, RecordingPolicy, ResumeBy
from consent.records import Purpose
from rtc.negotiation import Source
from signaling.devices import DevicePass, open_stream
from tests.huizhen.test_whip import OFFER
from tests.signaling.test_restricting import recorded_call
from tests.signaling.ward import Ward
from tests.support.session_client import SessionClient

CAMERA, MIC, SCREEN = Source.CAMERA, Source.MICROPHONE, Source.SCREEN


def privacy(page: SessionClient) -> dict[str, Any]:
    return page.privacy


def writing(house: Ward) -> frozenset[str]:
    return house.recorder.writing.get(house.consult.id, frozenset())


def set_policy(house: Ward, **changes: Any) -> None:
    house.live.policy = replace(RecordingPolicy(), **changes)
    house.recorder.policy = house.live.policy


def hidden(house: Ward, who: str) -> set[tuple[str, Source]]:
    return set(house.room.people[house.seats[who].id].grants.hidden)


async def test_anybody_stops_all_writing_before_the_pause_is_committed_and_everybody_sees_who(house: Ward) -> None:
    doctor, patient, daughter = await recorded_call(house, "daughter")
    seen: list[tuple[frozenset[str], bool]] = []
    begin = house.db.begin

    def watched() -> Any:
        seen.append((writing(house), "privacy.paused" in house.db.codes()))
        return begin()

    house.db.begin = watched  # type: ignore[method-assign]
    assert (await daughter.act("privacy.pause")) == {"ok": True}
    assert seen[0] == (frozenset(), False), "shut first, committed then"
    assert writing(house) == frozenset()
    for page in (doctor, patient, daughter):
        (held,) = privacy(page)["pauses"]
        assert (held["seat"], held["role"]) == (daughter.seat.id, "family")
        assert held["since"].startswith("2026")
    assert doctor.recording is not None
    assert (doctor.recording["state"], doctor.recording["reason"]) == ("paused", "rec.privacy_pause")
    refused = await doctor.act("recording.start")
    assert writing(house) == frozenset(), f"nothing starts over a pause: {refused}"
    assert (await daughter.act("privacy.pause"))["ok"], "asking twice is one pause"
    assert len(interludes.pauses(house.db.rows("consent_records"))) == 1


async def test_only_who_asked_resumes_and_is_asked_when_the_doctor_would_like_to(house: Ward) -> None:
    doctor, patient, daughter = await recorded_call(house, "daughter")
    assert (await doctor.act("privacy.resume"))["code"] == "consent.nothing_to_resume"
    await daughter.act("privacy.pause")
    for other in (doctor, patient):
        assert (await other.act("privacy.resume"))["code"] == "consent.asker_decides"
    assert [(each["what"], each["by"]) for each in daughter.told("asked")] == [
        ("privacy_resume", doctor.seat.id),
        ("privacy_resume", patient.seat.id),
    ]
    assert writing(house) == frozenset()
    assert (await daughter.act("privacy.resume"))["ok"]
    assert len(writing(house)) == 3
    assert privacy(patient).get("pauses", []) == []
    assert [code for code in house.db.codes() if code.startswith("privacy.")] == ["privacy.paused", "privacy.resumed"]


async def test_two_pauses_need_two_ends(house: Ward) -> None:
    doctor, patient, daughter = await recorded_call(house, "daughter")
    await daughter.act("privacy.pause")
    await patient.act("privacy.pause")
    await daughter.act("privacy.resume")
    assert writing(house) == frozenset()
    assert [each["seat"] for each in privacy(doctor)["pauses"]] == [patient.seat.id]
    await patient.act("privacy.resume")
    assert len(writing(house)) == 3


async def test_the_doctor_ends_the_pause_of_somebody_who_has_left_and_by_policy_of_anybody(house: Ward) -> None:
    doctor, patient, daughter = await recorded_call(house, "daughter")
    await daughter.act("privacy.pause")
    await daughter.act("leave")
    assert writing(house) == frozenset(), "their pause outlives their presence"
    assert (await patient.act("privacy.resume"))["code"] == "consent.asker_decides"
    assert (await doctor.act("privacy.resume"))["ok"]
    assert writing(house) == {doctor.seat.id, patient.seat.id}
    set_policy(house, privacy_resume=ResumeBy.DOCTOR)
    await patient.act("privacy.pause")
    assert (await doctor.act("privacy.resume"))["ok"]
    assert writing(house) == {doctor.seat.id, patient.seat.id}


async def test_a_pause_outlives_the_server(house: Ward) -> None:
    await recorded_call(house)
    patient = house.page("patient")
    await patient.join()
    await patient.act("privacy.pause")
    await house.live.close()
    house.boot()
    await house.live.restore()
    doctor, patient = house.page("doctor"), house.page("patient")
    await doctor.join(takeover=True)
    await patient.join()
    assert privacy(doctor)["pauses"][0]["seat"] == patient.seat.id
    ack = await doctor.act("recording.start")
    assert (ack["code"], ack["reasons"]) == ("consent.recording_not_permitted", ["rec.privacy_pause"])


async def test_a_pause_that_cannot_be_committed_holds_all_the_same(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    begin, failing = house.db.begin, True
    waiting, go = asyncio.Event(), asyncio.Event()

    def broken() -> Any:
        if failing:
            house.db.fail_next_commit = OSError("disk full")
        return begin()

    async def sleep(seconds: float) -> None:
        if seconds >= 0.4:
            waiting.set()
            await go.wait()

    house.live.sleep = sleep
    house.db.begin = broken  # type: ignore[method-assign]
    assert await patient.act("privacy.pause") == {"ok": True, "pending": True}
    await waiting.wait()
    failing = False
    house.db.fail_next_commit = None
    assert privacy(doctor)["pauses"][0]["seat"] == patient.seat.id
    await doctor.act("recording.start")
    assert writing(house) == frozenset()
    go.set()
    async with asyncio.timeout(2):
        while "privacy.paused" not in house.db.codes() or house.recorder.bars.get(house.consult.id):
            await asyncio.sleep(0)
    assert writing(house) == frozenset()
    assert (await patient.act("privacy.resume"))["ok"]
    assert len(writing(house)) == 2


async def test_a_refused_pause_leaves_no_bar_behind(house: Ward) -> None:
    _, patient = await recorded_call(house)
    async with house.db.begin() as tx:  # put out behind the room's back: the ledger will say no
        by = Actor(house.doctor.id, house.doctor.institution_id, house.doctor.roles, house.seats["doctor"].id)
        await visit.remove(tx, house.consult.id, patient.seat.id, by, "asked_to_leave")
    assert (await patient.act("privacy.pause"))["code"] == "access.denied"
    assert not house.recorder.bars.get(house.consult.id)
    assert privacy(patient).get("pauses", []) == []


async def test_an_exam_view_is_asked_confirmed_hidden_from_guests_unrecorded_and_ended_by_the_patient(
    house: Ward,
) -> None:
    doctor, patient, daughter = await recorded_call(house, "daughter")
    assert (await patient.act("exam.answer", agrees=True))["code"] == "consent.no_exam", "nobody asked"
    assert (await daughter.act("exam.request"))["code"] == "access.denied"
    assert (await doctor.act("exam.request"))["ok"]
    assert privacy(patient)["exam"]["state"] == "asked"
    assert hidden(house, "daughter") == set()
    assert len(writing(house)) == 3
    assert (await doctor.act("exam.answer", agrees=True))["code"] == "access.denied"
    assert (await patient.act("exam.answer", agrees=True))["ok"]
    assert writing(house) == frozenset()
    assert hidden(house, "daughter") >= {(patient.seat.id, CAMERA), (patient.seat.id, SCREEN)}
    assert (patient.seat.id, MIC) not in hidden(house, "daughter")
    assert hidden(house, "doctor") == hidden(house, "patient") == set()
    for page in (doctor, patient, daughter):
        assert privacy(page)["exam"]["state"] == "on"
    assert doctor.recording is not None
    assert doctor.recording["reason"] == "rec.exam_view"
    assert (await doctor.act("exam.end"))["ok"]
    assert privacy(patient)["exam"]["state"] == "closing", "the patient is asked whether they are covered"
    assert hidden(house, "daughter") != set()
    assert writing(house) == frozenset()
    assert (await patient.act("exam.end"))["ok"]
    assert hidden(house, "daughter") == set()
    assert len(writing(house)) == 3
    assert "exam" not in privacy(doctor)
    codes = [code for code in house.db.codes() if code.startswith("exam.")]
    assert codes == ["exam.requested", "exam.confirmed", "exam.ended"]


async def test_guests_are_turned_away_before_the_exam_is_committed_and_back_when_it_fails(house: Ward) -> None:
    doctor, patient, _ = await recorded_call(house, "daughter")
    await doctor.act("exam.request")
    begin, seen = house.db.begin, list[tuple[bool, frozenset[str]]]()

    def failing() -> Any:
        seen.append((hidden(house, "daughter") != set(), writing(house)))
        house.db.fail_next_commit = OSError("disk full")
        return begin()

    house.db.begin = failing  # type: ignore[method-assign]
    assert not (await patient.act("exam.answer", agrees=True))["ok"]
    assert seen[0] == (True, frozenset())
    house.db.fail_next_commit = None
    assert hidden(house, "daughter") == set()
    assert len(writing(house)) == 3


async def test_a_no_is_not_asked_again_but_may_be_changed_by_the_patient(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    await doctor.act("exam.request")
    assert (await patient.act("exam.answer", agrees=False))["ok"]
    assert privacy(doctor) == {"exam_declined": True}
    assert len(writing(house)) == 2, "a no changes nothing"
    assert (await doctor.act("exam.request"))["code"] == "consent.exam_declined"
    assert (await patient.act("exam.answer", agrees=True))["ok"], "their own change of mind"
    assert writing(house) == frozenset()
    assert (await patient.act("consent.withdraw", purposes=["intimate"]))["ok"], "withdrawing ends it too"
    assert len(writing(house)) == 2
    assert "exam" not in privacy(doctor)
    assert (await doctor.act("exam.request"))["ok"], "a no to recording something else is no longer the last word"
    assert (await doctor.act("exam.end"))["ok"], "the request is taken back"
    assert "exam" not in privacy(patient)
    assert (await patient.act("exam.end"))["code"] == "consent.no_exam"


async def test_an_exam_needs_somebody_who_can_confirm_it(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    await patient.act("leave")
    assert (await doctor.act("exam.request"))["code"] == "consent.no_exam"


async def test_the_doctor_ends_the_exam_of_a_patient_who_is_gone(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    await doctor.act("exam.request")
    await patient.act("exam.answer", agrees=True)
    assert (await doctor.act("exam.request"))["ok"], "on already: nothing to ask"
    await patient.act("leave")
    assert (await doctor.act("exam.end"))["ok"]
    assert "exam" not in privacy(doctor)


async def test_by_policy_an_exam_view_may_be_recorded_with_consent(house: Ward) -> None:
    set_policy(house, exam_views=ExamViews.BY_CONSENT)
    doctor, patient, daughter = await recorded_call(house, "daughter")
    await doctor.act("exam.request")
    await patient.act("exam.answer", agrees=True)
    assert writing(house) == {doctor.seat.id, patient.seat.id, daughter.seat.id}
    assert hidden(house, "daughter") != set(), "guests are turned away all the same"


async def test_whoever_comes_during_an_exam_sees_nothing_of_it_and_no_wall_does(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    cart = DevicePass("0a1b2c3d", doctor.seat.id, house.consult.id, "whip", "推车")
    await open_stream(house.live, cart, OFFER)
    await doctor.act("exam.request")
    await patient.act("exam.answer", agrees=True)
    await house.sign("interpreter", permitted=(Purpose.REC_AV,))
    interpreter = house.page("interpreter")
    await interpreter.join()
    await doctor.act("admit", seat=interpreter.seat.id)
    cart_id = f"{doctor.seat.id}.0a1b2c3d"
    assert hidden(house, "interpreter") >= {(patient.seat.id, CAMERA), (cart_id, CAMERA)}
    wall = DevicePass("0a1b2c3e", doctor.seat.id, house.consult.id, "whep", "墙")
    await open_stream(house.live, wall, OFFER.replace("sendonly", "recvonly"))
    grants = house.room.people[f"{doctor.seat.id}.0a1b2c3e"].grants
    assert (patient.seat.id, CAMERA) in grants.hidden
    assert grants.subscribe
    second = DevicePass("0a1b2c3f", doctor.seat.id, house.consult.id, "whip", "第二台")
    await open_stream(house.live, second, OFFER)
    assert (f"{doctor.seat.id}.0a1b2c3f", CAMERA) in hidden(house, "interpreter")
    await patient.act("exam.end")
    assert hidden(house, "interpreter") == set()
    assert house.room.people[f"{doctor.seat.id}.0a1b2c3e"].grants.hidden == frozenset()
