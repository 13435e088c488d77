"""A yes that runs out in the middle of a call: what stands on it stops within a second, then it is on record."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import ConsultStatus
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from recording.records import RecordingState
from signaling import consenting
from tests.signaling.test_privacy import writing
from tests.signaling.test_restricting import recorded_call
from tests.signaling.ward import Ward

BOTH = (Purpose.TREAT, Purpose.REC_AV)


async def signed_a_year_ago(house: Ward, who: str, permitted: tuple[Purpose, ...], left: float = 5) -> None:
    """So that what this person permits runs out in `left` seconds."""
    seat = house.seats[who]
    at = house.clock().replace(year=house.clock().year - 1) + timedelta(seconds=left)
    row = ConsentRecord(
        uuid4().hex, seat.institution_id, seat.consult_id, seat.id, ConsentAction.SIGNED, permitted, (), (),
        SignerCapacity.SELF, None, "zh", "{}", "0" * 64, "seal", at,
    )  # fmt: skip
    async with house.db.begin() as tx:
        await tx.consent_records.add(row)
        await tx.append(AuditEvent(EventCode.CONSENT_SIGNED, seat.institution_id, seat.id, seat.consult_id, row.id))
    await consenting.consent_changed(house.live, seat.consult_id, seat.id)


def noted(house: Ward) -> list[list[str]]:
    return [event.public["purposes"] for event in house.db.events if event.code == "consent.expired"]


async def test_recording_pauses_until_they_sign_again(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    await signed_a_year_ago(house, "patient", (Purpose.REC_AV,))
    await house.tick(4)
    assert patient.seat.id in writing(house)
    assert noted(house) == []
    await house.tick(1)
    assert writing(house) == frozenset()
    assert doctor.recording is not None
    assert (doctor.recording["state"], doctor.recording["reason"]) == ("paused", "rec.patient_unsigned")
    assert doctor.seats[patient.seat.id]["consent"]["rec_av"] == "undecided"
    assert house.inside == {doctor.seat.id, patient.seat.id}, "the visit goes on"
    await house.tick(3)
    assert noted(house) == [["rec_av"]]
    await house.sign("patient", permitted=(Purpose.REC_AV,))
    assert patient.seat.id in writing(house)


async def test_the_end_of_the_treatments_consent_ends_the_consult(house: Ward) -> None:
    doctor, _patient = await recorded_call(house)
    await signed_a_year_ago(house, "patient", BOTH)
    await house.tick(5)
    assert house.consult_row().status is ConsultStatus.CONCLUDING
    assert house.consult_row().outcome_code == "consent_expired"
    assert doctor.heard("ended")[-1]["reason"] == "consent_expired"
    assert house.media.room(house.consult.id) is None
    state = house.recorder.state(house.consult.id)
    assert state is not None and state.state is RecordingState.SEALED
    assert noted(house) == [["treat", "rec_av"]]
    assert not house.recorder.bars.get(house.consult.id)


async def test_before_it_began_the_door_is_shut_and_the_booking_kept(house: Ward) -> None:
    await signed_a_year_ago(house, "patient", BOTH, left=3)
    doctor, patient = house.page("doctor"), house.page("patient")
    await doctor.join()
    assert (await patient.join())["ok"]
    await house.tick(3)
    refused = await doctor.act("admit", seat=patient.seat.id)
    assert (refused["code"], refused["reasons"]) == ("consent.missing", ["treat"])
    assert house.consult_row().status is ConsultStatus.WAITING
    await house.sign("patient", permitted=BOTH)
    assert (await doctor.act("admit", seat=patient.seat.id))["ok"]


async def test_observers_are_out_and_an_unwritable_ledger_holds_nothing_up(house: Ward) -> None:
    doctor, patient = await recorded_call(house)
    await signed_a_year_ago(house, "patient", (Purpose.OBSERVE,))
    room = house.live.rooms[house.consult.id]
    nurse = house.page("nurse")
    await nurse.join()
    room.seats[nurse.seat.id] = replace(room.seats[nurse.seat.id], home_institution_id="elsewhere")
    await signed_a_year_ago(house, "patient", (Purpose.SHARE_PANEL,), left=9)
    assert nurse.seat.id in house.inside
    await house.tick(5)
    assert nurse.seat.id in house.inside
    room.seats[nurse.seat.id] = replace(room.seats[nurse.seat.id], home_institution_id="elsewhere")
    await house.tick(4)
    assert nurse.seat.id not in house.inside
    assert nurse.told("removed")[-1]["reason"] == "consent_expired"
    assert {doctor.seat.id, patient.seat.id} <= house.inside
    assert noted(house) == [["observe"], ["share_panel"]]
