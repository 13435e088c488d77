"""In the room of a panel: chair, order, hands, lobby, spotlight, quorum."""

from typing import Any

import pytest

from clinic.people import Role
from consent.records import Purpose
from tests.signaling.panel_ward import PanelWard, panel_ward
from tests.support.session_client import SessionClient


@pytest.fixture
async def house() -> PanelWard:
    return await panel_ward()


def roles(house: PanelWard) -> dict[str, Role]:
    return {who: house.seat_row(who).role for who in ("doctor", "chair", "expert", "third")}


def codes(house: PanelWard, *families: str) -> list[str]:
    return [code for code in house.db.codes() if code.startswith(families)]


async def gone(house: PanelWard, page: SessionClient) -> None:
    """The connection is lost and the grace runs out."""
    page.lose()
    await house.tick(61)


# -- opening and quorum


async def test_a_panel_opens_with_its_quorum_and_not_before(house: PanelWard) -> None:
    await house.agree()
    doctor, expert = await house.come("doctor"), await house.come("expert")
    assert doctor.panel["quorum"] == {"state": "before", "missing": ["gate.quorum_chair"]}
    refused = await doctor.act("panel.open")
    assert (refused["code"], refused["reasons"]) == ("panel.no_quorum", ["gate.quorum_chair"])
    assert house.db.codes()[-1] == "visit.gate_fail"
    assert (await expert.act("panel.open"))["code"] == "access.denied"
    await house.come("chair")
    assert doctor.panel["quorum"] == {"state": "before"}
    assert (await doctor.act("panel.open"))["ok"]
    assert (await doctor.act("panel.open"))["ok"], "asking twice opens it once"
    assert expert.panel["quorum"] == {"state": "held"}
    assert expert.panel["opened_at"].startswith("2026")
    assert codes(house, "panel.opened") == ["panel.opened"]


async def test_a_lost_quorum_is_told_then_marked_then_regained_and_recording_goes_on(house: PanelWard) -> None:
    pages = await house.opened()
    assert (await pages["doctor"].act("recording.start"))["ok"]
    pages["doctor"].lose()
    await house.tick(1)
    patient = pages["patient"]
    assert patient.panel["quorum"]["state"] == "grace"
    assert patient.panel["quorum"]["missing"] == ["gate.quorum_inviting"]
    await house.tick(118)
    assert house.db.rows("quorum_lapses") == []
    await house.tick(3)
    (lapse,) = house.db.rows("quorum_lapses")
    assert (lapse.missing, lapse.regained_at) == (("gate.quorum_inviting",), None)
    assert (lapse.marked_at - lapse.lost_at).total_seconds() == 120
    assert patient.panel["quorum"]["state"] == "lapsed"
    assert house.recorder.state(house.consult.id).state == "active", "nothing stops for it"  # type: ignore[union-attr]
    await house.come("doctor")
    await house.tick(1)
    (lapse,) = house.db.rows("quorum_lapses")
    assert lapse.regained_at is not None
    assert patient.panel["quorum"] == {"state": "held"}
    assert codes(house, "panel.quorum") == ["panel.quorum_lost", "panel.quorum_regained"]


async def test_a_blip_within_the_grace_time_marks_nothing(house: PanelWard) -> None:
    pages = await house.opened()
    pages["doctor"].lose()
    await house.tick(20)
    assert pages["patient"].panel["quorum"]["state"] == "grace"
    await house.come("doctor")
    await house.tick(1)
    assert pages["patient"].panel["quorum"] == {"state": "held"}
    assert house.db.rows("quorum_lapses") == []


async def test_a_lapse_the_disk_refuses_is_tried_again_and_outlives_the_server(house: PanelWard) -> None:
    pages = await house.opened()
    pages["doctor"].lose()
    await house.tick(120)
    house.db.fail_next_commit = OSError("disk full")
    await house.tick(1)
    assert house.db.rows("quorum_lapses") == []
    await house.tick(1)
    assert len(house.db.rows("quorum_lapses")) == 1
    await house.live.close()
    house.boot()
    await house.live.restore()
    patient = await house.come("patient")
    assert patient.panel["quorum"]["state"] == "lapsed"
    await house.come("doctor")
    await house.come("chair")
    await house.come("expert")
    house.db.fail_next_commit = OSError("disk full")
    await house.tick(1)
    assert house.db.rows("quorum_lapses")[0].regained_at is None
    await house.tick(1)
    assert house.db.rows("quorum_lapses")[0].regained_at is not None
    assert len(house.db.rows("quorum_lapses")) == 1


# -- chair


async def test_the_chair_hands_over_and_the_rights_go_with_it(house: PanelWard) -> None:
    pages = await house.opened()
    chair, expert = pages["chair"], pages["expert"]
    assert pages["patient"].panel["chair"] == chair.seat.id
    assert (await expert.act("panel.order", seats=[]))["code"] == "access.denied"
    assert (await pages["doctor"].act("panel.order", seats=[]))["code"] == "panel.not_presiding"
    for nobody in (chair.seat.id, pages["patient"].seat.id, "f" * 32):
        assert (await chair.act("panel.chair", seat=nobody))["code"] == "panel.not_for_them"
    assert (await chair.act("panel.chair", seat=expert.seat.id))["ok"]
    assert roles(house)["expert"] is Role.CHAIR
    assert roles(house)["chair"] is Role.EXPERT
    assert pages["patient"].panel["chair"] == expert.seat.id
    told = expert.told("me")[-1]["me"]
    assert (told["role"], "preside" in told["may"], "admit" in told["may"]) == ("chair", True, True)
    assert "preside" not in chair.told("me")[-1]["me"]["may"]
    assert (await chair.act("panel.next"))["code"] == "access.denied"
    assert (await expert.act("panel.order", seats=[chair.seat.id]))["ok"]
    assert codes(house, "panel.chair") == ["panel.chair_handed"]


async def test_a_lost_chair_is_taken_by_the_first_in_order_or_the_inviting_doctor(house: PanelWard) -> None:
    pages = await house.opened()
    chair, expert, third = pages["chair"], pages["expert"], pages["third"]
    assert (await chair.act("panel.order", seats=[third.seat.id, expert.seat.id]))["ok"]
    assert (await third.act("panel.take"))["code"] == "panel.chair_held"
    chair.lose()
    await house.tick(29)
    assert "heirs" not in third.panel
    await house.tick(2)
    assert third.panel["heirs"] == [third.seat.id, pages["doctor"].seat.id]
    assert (await expert.act("panel.take"))["code"] == "panel.chair_held", "it is not their turn"
    assert (await third.act("panel.take"))["ok"]
    assert roles(house) == {
        "doctor": Role.INVITING,
        "chair": Role.EXPERT,
        "expert": Role.EXPERT,
        "third": Role.CHAIR,
    }
    await gone(house, third)
    assert (await pages["doctor"].act("panel.take"))["ok"]
    assert roles(house)["doctor"] is Role.INVITING, "who leads the visit stays who they are"
    assert expert.panel["chair"] == pages["doctor"].seat.id
    assert (await pages["doctor"].act("panel.word", seat=expert.seat.id))["ok"]
    assert codes(house, "panel.chair") == ["panel.chair_taken", "panel.chair_taken"]


# -- order, word, hands


async def test_the_word_follows_the_order_then_the_hands(house: PanelWard) -> None:
    pages = await house.opened("daughter")
    chair, expert, third, patient = (pages[who] for who in ("chair", "expert", "third", "patient"))
    assert (await chair.act("panel.order", seats=[expert.seat.id, third.seat.id]))["ok"]
    assert patient.panel["turns"] == [expert.seat.id, third.seat.id]
    for page in (patient, third, pages["daughter"]):
        assert (await page.emit("hand", raised=True))["ok"]
        house.clock.advance(1)
    await third.emit("hand", raised=True)
    assert chair.panel["hands"] == [patient.seat.id, third.seat.id, pages["daughter"].seat.id]
    said = []
    for _ in range(5):
        assert (await chair.act("panel.next"))["ok"]
        said.append(patient.panel.get("word"))
    assert said == [expert.seat.id, third.seat.id, patient.seat.id, pages["daughter"].seat.id, None]
    assert "hands" not in patient.panel, "who was given the word has their hand lowered"
    assert patient.seats[third.seat.id]["hand"] is False
    assert len(codes(house, "panel.word")) == 5


@pytest.mark.parametrize("seats", [["f" * 32], ["student"], ["expert", "expert"]])
async def test_an_order_names_people_with_a_voice_once(house: PanelWard, seats: list[str]) -> None:
    pages = await house.opened()
    named = [house.seats[who].id if who in house.seats else who for who in seats]
    ack = await pages["chair"].act("panel.order", seats=named)
    assert (ack["code"], ack["field"]) == ("input.invalid", "seats")


async def test_the_word_goes_to_who_is_here(house: PanelWard) -> None:
    pages = await house.opened("student")
    chair = pages["chair"]
    for absent in (house.seats["daughter"].id, house.seats["student"].id):
        assert (await chair.act("panel.word", seat=absent))["code"] == "panel.not_for_them"
    assert (await chair.act("panel.word", seat=house.seats["patient"].id))["ok"]
    assert (await chair.act("panel.word", seat=None))["ok"]
    assert "word" not in chair.panel


async def test_others_are_asked_to_mute_and_never_muted(house: PanelWard) -> None:
    pages = await house.opened()
    third = pages["third"]
    assert (await pages["chair"].act("panel.ask", seat=third.seat.id))["ok"]
    assert third.told("asked") == [{"type": "asked", "what": "mute", "by": pages["chair"].seat.id}]
    assert house.room.people[third.seat.id].paused == set()
    assert (await pages["doctor"].act("panel.ask", seat=third.seat.id))["code"] == "panel.not_presiding"
    assert (await pages["chair"].act("panel.ask", seat="f" * 32))["code"] == "panel.not_for_them"


async def test_the_spotlight_is_for_all_and_for_the_media_server(house: PanelWard) -> None:
    pages = await house.opened()
    third = pages["third"].seat.id
    assert (await pages["chair"].act("panel.spotlight", seat=third))["ok"]
    assert pages["patient"].panel["spotlight"] == third
    assert house.room.spotlit == third
    assert (await pages["chair"].act("panel.spotlight", seat=house.seats["student"].id))["code"] == "panel.not_for_them"
    assert (await pages["chair"].act("panel.spotlight", seat=None))["ok"]
    assert house.room.spotlit is None


async def test_what_was_set_outlives_the_server(house: PanelWard) -> None:
    pages = await house.opened()
    third = pages["third"].seat.id
    await pages["chair"].act("panel.order", seats=[third])
    await pages["chair"].act("panel.spotlight", seat=third)
    await pages["chair"].act("panel.chair", seat=third)
    await house.live.close()
    house.boot()
    await house.live.restore()
    patient = await house.come("patient")
    assert (patient.panel["turns"], patient.panel["spotlight"], patient.panel["chair"]) == ([third], third, third)
    again = await house.come("third")
    assert again.snapshot is not None
    assert again.snapshot["me"]["role"] == "chair"
    assert (await again.act("panel.next"))["ok"], "a ticket of before the hand-over says expert; the seat says chair"


# -- lobby


async def test_experts_who_come_after_the_opening_wait_for_the_chair(house: PanelWard) -> None:
    await house.agree()
    doctor, chair, expert = [await house.come(who) for who in ("doctor", "chair", "expert")]
    assert (await chair.act("panel.open"))["ok"]
    third = await house.come("third")
    assert house.seat_row("third").state == "waiting"
    assert third.seat.id not in house.inside
    assert chair.seats[third.seat.id]["state"] == "waiting"
    assert (await expert.act("admit", seat=third.seat.id))["code"] == "access.denied"
    assert (await chair.act("admit", seat=third.seat.id))["ok"]
    assert third.seat.id in house.inside
    assert third.snapshot is not None
    assert third.panel["opened_at"]
    await third.act("leave")
    await house.come("third")
    assert house.seat_row("third").state == "admitted", "who was in before comes back by themselves"
    assert doctor.panel["quorum"]["state"] == "held"


async def test_the_chair_sees_why_a_student_cannot_be_let_in_yet(house: PanelWard) -> None:
    others = (house.world.partner.id, house.university.id)
    everything = (Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV)
    await house.sign("patient", permitted=everything, refused=(Purpose.OBSERVE,), shared=others)
    chair = await house.come("chair")
    student = house.page("student")
    assert (await student.join())["code"] == "consent.missing"
    assert chair.seats[student.seat.id]["held"] == ["observe"]
    await house.agree()
    assert "held" not in chair.seats[student.seat.id]
    await student.join()
    assert chair.seats[student.seat.id]["state"] == "waiting"
    assert (await chair.act("admit", seat=student.seat.id))["ok"]


async def test_the_interpreter_of_a_panel_decides_and_is_heard_by_all(house: PanelWard) -> None:
    pages = await house.opened("interpreter")
    interpreter = pages["interpreter"].seat.id
    refused = await pages["doctor"].act("recording.start")
    assert (refused["reasons"], refused["seats"]) == (["rec.person_unsigned"], [interpreter])
    await house.sign("interpreter", permitted=(Purpose.REC_AV,))
    assert (await pages["doctor"].act("recording.start"))["ok"]
    assert interpreter in house.recorder.writing[house.consult.id]
    await pages["interpreter"].act("consent.withdraw", purposes=["rec_av"])
    assert interpreter not in house.recorder.writing[house.consult.id]
    assert (await pages["chair"].act("panel.word", seat=interpreter))["ok"]


async def test_each_at_a_clinic_seat_decides_and_one_no_pauses(house: PanelWard) -> None:
    """Several on one camera: an expert's colleague counts for the gate of the whole panel."""
    pages = await house.opened()
    doctor, chair = pages["doctor"], pages["chair"]
    assert (await doctor.act("recording.start"))["ok"]
    everybody: Any = house.recorder.writing[house.consult.id]
    body = {"kind": "doctor", "on_camera": True}
    first = (await chair.act("person.declare", display_name="赵医生", agrees=True, **body))["seat"]
    second = (await doctor.act("person.declare", display_name="钱医生", **body))["seat"]
    assert house.recorder.writing[house.consult.id] == frozenset()
    assert pages["patient"].recording is not None
    assert pages["patient"].recording["waiting_for"] == [second]
    assert (await doctor.act("person.answer", seat=second, agrees=True))["ok"]
    assert house.recorder.writing[house.consult.id] == everybody | {first, second}
    assert (await chair.act("person.answer", seat=first, agrees=False))["ok"]
    assert house.recorder.writing[house.consult.id] == frozenset(), "a no beside an expert stops it for all"
    assert (await chair.act("person.gone", seat=first))["ok"]
    assert house.recorder.writing[house.consult.id] == everybody | {second}
    assert (await doctor.act("person.answer", seat=first, agrees=True))["code"] in ("access.denied", "visit.removed")


async def test_nobody_presides_where_there_is_no_panel(house: PanelWard) -> None:
    from tests.signaling.ward import ward

    visit = await ward()
    doctor, _ = await visit.in_call()
    assert doctor.panel == {}
    assert (await doctor.act("panel.open"))["code"] == "access.denied"


async def test_a_panel_stopped_as_unsuitable_leaves_each_house_that_met_its_copy(house: PanelWard) -> None:
    pages = await house.met()
    assert (await pages["doctor"].act("terminate", reason_code="needs_examination", advice=""))["ok"]
    ordered = {row.institution_id for row in house.db.rows("sealed_copies")}
    assert ordered == {house.world.home.id, house.world.partner.id, house.university.id}


async def test_and_none_to_whom_the_patient_shares_no_more(house: PanelWard) -> None:
    """PIPL art. 15, 23: sharing taken back before anybody signed."""
    pages = await house.met()
    assert (await pages["patient"].act("consent.withdraw", purposes=["share_panel"]))["ok"]
    assert (await pages["doctor"].act("terminate", reason_code="emergency", advice=""))["ok"]
    assert {row.institution_id for row in house.db.rows("sealed_copies")} == {house.world.home.id}
