"""Lost sockets, reloads, second devices, restarts: seat and media are kept, numbers have no holes."""

from clinic.consult import SeatState
from rtc.negotiation import Source
from rtc.quality import Level
from rtc.transport import TransportState
from signaling.room_log import REPLAY
from tests.signaling.ward import Ward
from tests.support.session_client import new_op


async def test_a_lost_socket_resumes_by_replay_and_media_is_kept(house: Ward) -> None:
    doctor, patient = await house.in_call()
    house.room.publish(patient.seat.id, Source.CAMERA)
    house.room.show(patient.seat.id, ("3", doctor.seat.id, Source.CAMERA), ("4", None, None))
    participant = house.room.people[patient.seat.id]
    patient.lose()
    assert not doctor.seats[patient.seat.id]["online"]
    await doctor.act("chat", text="还在吗？")
    house.clock.advance(20)
    ack = await patient.join(resume=True)
    assert ack["ok"]
    assert "snapshot" not in ack
    assert [event["type"] for event in ack["replay"]] == ["seat", "chat", "seat"]
    assert ack["me"]["seat"] == patient.seat.id
    assert house.room.people[patient.seat.id] is participant, "the same participant, its transport untouched"
    assert patient.told("slots")[-1]["slots"][0]["seat"] == doctor.seat.id, "direct news still true is told again"
    assert doctor.seats[patient.seat.id]["online"]
    assert house.db.codes()[-1] == "room.resume"
    await doctor.act("chat", text="好的")
    assert patient.heard("chat")[-1]["message"]["text"] == "好的"


async def test_beyond_the_replay_comes_a_snapshot(house: Ward) -> None:
    doctor, patient = await house.in_call()
    patient.lose()
    for number in range(REPLAY + 1):
        await doctor.emit("hand", raised=number % 2 == 0)
    ack = await patient.join(resume=True)
    assert "snapshot" in ack
    assert ack["snapshot"]["seq"] == patient.seq > REPLAY


async def test_a_foreign_epoch_or_a_number_from_the_future_gets_a_snapshot(house: Ward) -> None:
    _doctor, patient = await house.in_call()
    for epoch, seq in (("other", 1), (patient.epoch, 10_000)):
        patient.lose()
        patient.epoch, patient.seq = epoch, seq
        assert "snapshot" in await patient.join(resume=True)


async def test_what_was_said_before_admission_is_not_replayed(house: Ward) -> None:
    doctor, patient = await house.in_call()
    await doctor.act("chat", text="private to those inside")
    daughter = house.page("daughter")
    await daughter.join()
    waiting_since = (daughter.epoch, daughter.seq - 1)
    daughter.lose()
    await doctor.act("admit", seat=daughter.seat.id)
    daughter.epoch, daughter.seq = waiting_since[0], 0
    ack = await daughter.join(resume=True)
    assert "snapshot" in ack, "a number from the waiting room is no claim to the room's history"
    assert patient.connected


async def test_reload_is_a_silent_return_even_before_the_server_noticed(house: Ward) -> None:
    doctor, _patient = await house.in_call()
    old = doctor.line
    doctor.vanish()
    ack = await doctor.join()
    assert ack["ok"], "the same device is never asked"
    assert old is not None
    assert old.closed_for == "replaced"
    assert len(house.inside) == 2
    assert ("leave", doctor.seat.id) not in house.room.history


async def test_a_patients_second_device_replaces_the_first(house: Ward) -> None:
    doctor, patient = await house.in_call()
    tablet = house.page("patient", device="tablet")
    ack = await tablet.join()
    assert ack["ok"]
    assert patient.told("replaced")
    assert patient.line is not None
    assert patient.line.closed_for == "replaced"
    assert house.room.history[-2:] == [("leave", patient.seat.id), ("join", patient.seat.id)], "the old device is cut"
    assert (await patient.emit("hand", raised=True))["code"] == "session.not_joined"
    assert doctor.seats[patient.seat.id]["online"]
    assert house.db.codes()[-1] == "room.replace"


async def test_a_doctors_second_device_asks_first(house: Ward) -> None:
    doctor, _patient = await house.in_call()
    other = house.page("doctor", device="home")
    assert (await other.join())["code"] == "session.other_device"
    assert doctor.line is not None
    assert doctor.line.closed_for is None
    assert (await other.join(takeover=True))["ok"]
    assert doctor.told("replaced")
    assert (await other.act("chat", text="在家接诊"))["ok"]


async def test_the_seat_is_kept_for_the_grace_and_no_longer(house: Ward) -> None:
    doctor, patient = await house.in_call()
    patient.lose()
    await house.tick(59)
    assert patient.seat.id in house.inside
    assert house.seat_row("patient").state is SeatState.ADMITTED
    await house.tick(2)
    assert patient.seat.id not in house.inside
    assert house.seat_row("patient").state is SeatState.LEFT
    assert doctor.seats[patient.seat.id]["state"] == "left"


async def test_a_silent_connection_loses_its_lease(house: Ward) -> None:
    doctor, patient = await house.in_call()
    patient.vanish()
    for line in house.live.rooms[house.consult.id].lines.values():
        if line.caller.seat_id == patient.seat.id:
            line.alive = False  # type: ignore[misc]
    await house.tick(16)
    assert not doctor.seats[patient.seat.id]["online"]
    assert patient.seat.id in house.inside


async def test_after_a_restart_people_come_back_to_a_new_epoch(house: Ward) -> None:
    doctor, patient = await house.in_call()
    await doctor.act("chat", text="before the crash")
    epoch = doctor.epoch
    house.boot()  # SIGKILL: nothing was said or saved
    await house.live.restore()
    assert set(house.live.present(house.consult.id)) == {doctor.seat.id, patient.seat.id}
    assert house.recorder.calls == ["people_changed"]
    doctor.live = patient.live = house.live
    ack = await doctor.join(resume=True)
    assert ack["snapshot"]["epoch"] != epoch
    assert ack["snapshot"]["chat"][-1]["text"] == "before the crash"
    assert house.inside == {doctor.seat.id}
    await house.tick(30)
    assert (await patient.join(resume=True))["ok"]
    assert house.inside == {doctor.seat.id, patient.seat.id}
    assert (await patient.emit("media.offer", sdp="again", sources={}))["ok"]


async def test_after_a_restart_who_does_not_come_back_has_left(house: Ward) -> None:
    await house.in_call()
    house.boot()
    await house.live.restore()
    await house.tick(61)
    assert house.seat_row("patient").state is SeatState.LEFT
    assert house.live.rooms == {}


async def test_a_resend_after_a_lost_ack_changes_nothing(house: Ward) -> None:
    doctor, patient = await house.in_call()
    op = new_op()
    first = await patient.emit("chat", op=op, text="只说一次")
    events = len(house.db.events)
    patient.lose()
    await patient.join(resume=True)
    again = await patient.emit("chat", op=op, text="只说一次")
    assert again == first | {"repeated": True}
    assert len(house.db.rows("chat_messages")) == 1
    assert len(house.db.events) == events + 1  # the resume
    house.live.outcomes._done.clear()  # a restart forgets the acks, the database does not
    assert await patient.emit("chat", op=op, text="只说一次") == {"ok": True, "repeated": True}
    assert len(doctor.heard("chat")) == 1


async def test_a_resent_join_on_a_new_socket_is_a_join(house: Ward) -> None:
    doctor, _patient = await house.in_call()
    op = new_op()
    doctor.lose()
    await doctor.join(op=op)
    doctor.lose()
    events = len(house.db.events)
    assert (await doctor.join(op=op))["ok"]
    assert len(house.db.events) == events
    assert (await doctor.emit("hand", raised=True))["ok"]


async def test_quality_evidence_once_a_minute_and_on_change_only(house: Ward) -> None:
    doctor, patient = await house.in_call()
    body = {"freezes": 2, "concealed_ms": 120, "rtt_ms": 80, "kbps_in": 900, "kbps_out": 700, "fps": 24, "width": 640}
    assert (await patient.emit("stats", **body))["ok"]
    for level in (Level.GOOD, Level.POOR, Level.GOOD, Level.POOR):
        house.room.rate(patient.seat.id, level, video_off=level is Level.POOR)
        house.clock.advance(5)
    assert [event["level"] for event in doctor.told("quality")] == ["good", "poor", "good", "poor"]
    assert [event["on"] for event in patient.told("video_limited")] == [True, False, True]
    await house.drain()
    noted = [event for event in house.db.events if event.code == "media.quality"]
    assert len(noted) == 1
    assert noted[0].public["level"] == "poor"
    assert noted[0].public["freezes"] == 2
    house.clock.advance(60)
    house.room.rate(patient.seat.id, Level.LOST)
    await house.drain()
    assert [e.public["level"] for e in house.db.events if e.code == "media.quality"] == ["poor", "lost"]


async def test_a_failed_path_takes_the_picture_off_but_not_the_seat(house: Ward) -> None:
    doctor, patient = await house.in_call()
    house.room.publish(patient.seat.id, Source.CAMERA)
    house.room.path(patient.seat.id, TransportState.FAILED)
    assert doctor.seats[patient.seat.id]["publishing"] == []
    assert patient.seat.id in house.inside


async def test_media_news_of_somebody_who_left_is_dropped(house: Ward) -> None:
    doctor, patient = await house.in_call()
    room = house.room
    await patient.act("leave")
    seq = doctor.seq
    room.publish(patient.seat.id, Source.CAMERA)
    room.rate(patient.seat.id, Level.POOR)
    room.show(patient.seat.id, ("1", None, None))
    assert doctor.seq == seq
