"""A whole visit as a conversation between pages and the live edge."""

from clinic.consult import ConsultStatus, SeatState
from consent.records import Purpose
from rtc.negotiation import Source
from tests.signaling.ward import Ward
from tests.support.session_client import new_op


async def test_a_whole_visit(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV))
    patient, doctor = house.page("patient"), house.page("doctor")

    ack = await patient.join()
    assert ack["ok"], ack
    assert [seat["id"] for seat in ack["snapshot"]["seats"]] == [patient.seat.id], "the waiting see only themselves"
    assert ack["snapshot"]["recording"] is None
    assert house.inside == set(), "nobody waiting holds media"
    assert (await patient.emit("media.offer", sdp="v=0", sources={}))["code"] == "session.waiting"
    await house.drain()
    assert patient.told("queue")[-1]["position"] == 1

    ack = await doctor.join()
    assert ack["ok"], ack
    me = ack["snapshot"]["me"]
    assert {"admit", "end", "start_recording"} <= set(me["may"])
    assert doctor.seats[patient.seat.id]["state"] == "waiting"
    assert doctor.seats[patient.seat.id]["online"]
    assert house.inside == {doctor.seat.id}

    assert (await doctor.act("admit", seat=patient.seat.id)) == {"ok": True}
    snapshot = patient.told("admitted")[-1]["snapshot"]
    assert {seat["id"] for seat in snapshot["seats"]} == {seat.id for seat in house.seats.values()}
    assert house.inside == {doctor.seat.id, patient.seat.id}
    assert house.consult_row().status is ConsultStatus.IN_PROGRESS
    assert doctor.heard("consult")[-1]["status"] == "in_progress"

    ack = await patient.emit("media.offer", sdp="v=0 offer", sources={"0": "mic", "1": "camera"})
    assert ack["ok"]
    assert ack["sdp"].startswith("answer to")
    assert house.room.people[patient.seat.id].offers[0].sources == {"0": Source.MICROPHONE, "1": Source.CAMERA}
    house.room.publish(patient.seat.id, Source.CAMERA)
    assert doctor.seats[patient.seat.id]["publishing"] == ["camera"]
    demand = {"seat": patient.seat.id, "source": "camera", "width": 640, "height": 360}
    assert (await doctor.emit("media.view", demands=[demand]))["ok"]
    assert house.room.people[doctor.seat.id].demands[0].width == 640
    assert (await patient.emit("media.mute", source="mic", muted=True))["ok"]
    assert doctor.seats[patient.seat.id]["muted"] == ["mic"]
    assert (await patient.emit("hand", raised=True))["ok"]
    assert doctor.seats[patient.seat.id]["hand"]

    assert (await patient.act("chat", text="您好，医生 👋"))["ok"]
    assert doctor.heard("chat")[-1]["message"]["text"] == "您好，医生 👋"

    assert (await doctor.act("recording.start"))["ok"]
    states = [event["recording"]["state"] for event in patient.heard("recording")]
    assert states == ["requested", "active"]
    assert patient.seats[patient.seat.id]["recorded"]

    assert (await doctor.act("end"))["ok"]
    assert house.consult_row().status is ConsultStatus.CONCLUDING
    assert [event["recording"]["state"] for event in patient.heard("recording")][-1] == "sealed"
    assert patient.heard("ended")[-1]["reason"] == "concluding"
    assert not patient.connected
    assert house.media.room(house.consult.id) is None
    assert (await patient.join())["code"] == "session.over"

    codes = house.db.codes()
    for code in ("room.waiting", "room.admit", "room.join", "room.chat", "visit.gate_pass"):
        assert code in codes, code
    await house.drain()
    assert "media.publish" in house.db.codes()
    assert house.seat_row("patient").state is SeatState.LEFT


async def test_a_guest_who_has_not_signed_pauses_the_recording_before_their_media_flows(house: Ward) -> None:
    doctor, _patient = await house.in_call()
    assert (await doctor.act("recording.start"))["ok"]
    daughter = house.page("daughter")
    await daughter.join()
    order: list[str] = []

    async def before(name: str) -> None:
        order.append(f"{name}:{daughter.seat.id in house.inside}")

    house.recorder.before = before
    assert (await doctor.act("admit", seat=daughter.seat.id))["ok"]
    assert order == ["people_changed:False"], "asked before, not after"
    assert daughter.seat.id in house.inside
    assert doctor.recording is not None
    assert doctor.recording["state"] == "paused"
    assert doctor.recording["waiting_for"] == [daughter.seat.id]
    assert house.recorder.writing[house.consult.id] == frozenset()

    await house.sign("daughter", permitted=(Purpose.REC_AV,))
    assert doctor.recording["state"] == "active"
    assert doctor.heard("consent")[-1] == doctor.heard("consent")[-1] | {
        "seat": daughter.seat.id,
        "standing": {"rec_av": "permitted"},
    }


async def test_without_treatment_consent_there_is_no_way_in(house: Ward) -> None:
    patient = house.page("patient")
    ack = await patient.join()
    assert ack == {"ok": False, "code": "consent.missing", "reasons": ["treat"]}
    assert house.db.codes()[-1] == "visit.gate_fail"
    assert house.seat_row("patient").state is SeatState.EXPECTED
    assert house.inside == set()


async def test_recording_needs_everybody(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.TREAT,), refused=(Purpose.REC_AV,))
    doctor, patient = house.page("doctor"), house.page("patient")
    await doctor.join()
    await patient.join()
    await doctor.act("admit", seat=patient.seat.id)
    ack = await doctor.act("recording.start")
    assert ack["code"] == "consent.recording_not_permitted"
    assert ack["reasons"] == ["rec.patient_refused"]
    assert ack["seats"] == [patient.seat.id]
    assert (await patient.act("recording.start"))["code"] == "access.denied"


async def test_an_admission_refused_says_why_and_admits_nobody(house: Ward) -> None:
    await house.sign("patient", permitted=(Purpose.TREAT,))
    doctor, patient = house.page("doctor"), house.page("patient")
    await doctor.join()
    await patient.join()
    house.clock.advance(hours=5)
    ack = await doctor.act("admit", seat=patient.seat.id)
    assert (ack["code"], ack["reasons"]) == (
        "visit.not_admitted",
        ["gate.doctor_authentication", "gate.too_late"],
    )
    assert house.inside == {doctor.seat.id}
    assert house.db.codes()[-1] == "visit.gate_fail"


async def test_remove_is_for_good(house: Ward) -> None:
    doctor, _patient, daughter = await house.in_call("daughter")
    ack = await doctor.act("remove", seat=daughter.seat.id, reason="disturbing")
    assert ack == {"ok": True}
    assert daughter.seat.id not in house.inside
    assert daughter.told("removed")[-1]["reason"] == "disturbing"
    assert not daughter.connected
    assert (await daughter.join())["code"] == "visit.removed"
    assert (await doctor.act("remove", seat=doctor.seat.id))["code"] == "access.denied"


async def test_leave_and_come_back_through_the_waiting_room(house: Ward) -> None:
    doctor, patient = await house.in_call()
    assert (await patient.act("leave"))["ok"]
    assert house.inside == {doctor.seat.id}
    assert doctor.seats[patient.seat.id]["state"] == "left"
    assert (await patient.emit("hand", raised=True))["code"] == "session.not_joined"
    ack = await patient.join()
    assert ack["ok"]
    assert len(ack["snapshot"]["seats"]) == 1
    assert doctor.seats[patient.seat.id]["state"] == "waiting"


async def test_terminated_as_unsuitable_with_advice(house: Ward) -> None:
    doctor, patient = await house.in_call()
    await doctor.act("recording.start")
    ack = await doctor.act("terminate", reason_code="needs_examination", advice="请到急诊")
    assert ack["ok"], ack
    assert patient.heard("chat")[-1]["message"]["text"] == "请到急诊"
    assert patient.heard("ended")[-1]["reason"] == "terminated_unsuitable"
    assert house.consult_row().outcome_code == "needs_examination"
    recording = house.recorder.state(house.consult.id)
    assert recording is not None
    assert recording.over


async def test_an_invitation_gives_a_seat_and_a_link(house: Ward) -> None:
    doctor, patient = await house.in_call()
    op = new_op()
    body = {"role": "family", "display_name": "儿子", "relation": "son"}
    ack = await doctor.emit("guest.invite", op=op, **body)
    assert ack["ok"], ack
    assert set(ack["link"]) == {"url", "qr_svg", "expires_at", "code"}
    assert patient.seats[ack["seat"]]["state"] == "expected"
    again = await doctor.emit("guest.invite", op=op, **body)
    assert again == ack | {"repeated": True}
    assert len(house.db.rows("seats")) == 6
