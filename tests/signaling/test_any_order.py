"""Any order of joining, leaving, losing the line, coming back, signing, withdrawing, removing: the rules hold."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clinic.consult import SeatState
from consent.records import Purpose
from consent.standing import Standing, standing
from recording.records import RecordingState
from rtc.negotiation import Source
from tests.signaling.ward import Ward, ward
from tests.support.session_client import SessionClient

PEOPLE = ("doctor", "patient", "daughter", "interpreter", "nurse")
people = st.sampled_from(PEOPLE)
guests = st.sampled_from(("patient", "daughter", "interpreter"))
OTHER = {"doctor": "doctor@2", "patient": "patient@2"}


class Consultation(RuleBasedStateMachine):
    @initialize(started=st.sampled_from((False, True, True)))
    def open_the_ward(self, started: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.house: Ward = self.run(ward())
        self.pages: dict[str, SessionClient] = {who: self.house.page(who) for who in PEOPLE}
        if started:
            self.pages["doctor"], self.pages["patient"] = self.run(self.house.in_call())
            self.record()

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.house.live.close())
            self.loop.close()

    def settle(self, ack: dict[str, Any]) -> None:
        assert ack.get("code") != "server.internal", "a defect"

    @rule(who=people, resume=st.booleans())
    def join(self, who: str, resume: bool) -> None:
        page = self.pages[who]
        if page.connected:
            page.lose()
        self.settle(self.run(page.join(resume=resume)))

    @rule(who=people)
    def lose(self, who: str) -> None:
        self.pages[who].lose()

    @rule(who=people)
    def vanish(self, who: str) -> None:
        self.pages[who].vanish()

    @rule(who=st.sampled_from(("doctor", "patient")), takeover=st.booleans())
    def another_device(self, who: str, takeover: bool) -> None:
        page = self.house.page(who, device=f"other-{len(self.house.db.events)}")
        old = self.pages[who]
        ack = self.run(page.join(takeover=takeover))
        self.settle(ack)
        if ack["ok"]:
            held = self.house.live.rooms[self.house.consult.id].lines
            assert old.line is None or old.line.id not in held, "a refused join leaves a line that holds no seat"
            self.pages[who] = page

    @rule(who=people)
    def leave(self, who: str) -> None:
        if self.pages[who].connected:
            self.settle(self.run(self.pages[who].act("leave")))
            self.pages[who].lose()

    @rule(by=st.sampled_from(("doctor", "nurse")), who=people)
    def admit(self, by: str, who: str) -> None:
        if self.pages[by].connected:
            self.settle(self.run(self.pages[by].act("admit", seat=self.pages[who].seat.id)))

    @rule(who=st.sampled_from(("patient", "daughter", "interpreter")))
    def come_in(self, who: str) -> None:
        """All the way, whatever it takes."""
        for page in (self.pages["doctor"], self.pages[who]):
            if not page.connected:
                self.settle(self.run(page.join(takeover=True)))
        if self.pages["doctor"].connected:
            self.settle(self.run(self.pages["doctor"].act("admit", seat=self.pages[who].seat.id)))

    @rule(who=st.sampled_from(("daughter", "interpreter", "nurse")))
    def remove(self, who: str) -> None:
        if self.pages["doctor"].connected:
            self.settle(self.run(self.pages["doctor"].act("remove", seat=self.pages[who].seat.id)))

    @rule(who=guests, agree=st.booleans())
    def sign(self, who: str, agree: bool) -> None:
        treat = (Purpose.TREAT,) if who == "patient" else ()
        yes, no = ((*treat, Purpose.REC_AV), ()) if agree else (treat, (Purpose.REC_AV,))
        self.run(self.house.sign(who, permitted=yes, refused=no))

    @rule(who=guests)
    def withdraw(self, who: str) -> None:
        if self.pages[who].connected:
            self.settle(self.run(self.pages[who].act("consent.withdraw", purposes=["rec_av"])))

    @rule()
    def record(self) -> None:
        if self.pages["doctor"].connected:
            self.settle(self.run(self.pages["doctor"].act("recording.start")))

    @rule()
    def stop_recording(self) -> None:
        if self.pages["doctor"].connected:
            self.settle(self.run(self.pages["doctor"].act("recording.stop")))

    @rule(who=people, live=st.booleans())
    def publish(self, who: str, live: bool) -> None:
        room = self.house.media.room(self.house.consult.id)
        if room is not None and self.pages[who].seat.id in room.people:
            room.publish(self.pages[who].seat.id, Source.CAMERA, live)

    @rule(who=people)
    def raise_hand(self, who: str) -> None:
        if self.pages[who].connected:
            self.settle(self.run(self.pages[who].emit("hand", raised=len(self.house.db.events) % 2 == 0)))

    @rule(seconds=st.sampled_from((1, 5, 20, 61)))
    def time_passes(self, seconds: int) -> None:
        self.run(self.house.tick(seconds))

    @rule()
    def restart(self) -> None:
        self.run(self.house.live.close())
        self.house.boot()
        self.run(self.house.live.restore())
        for page in self.pages.values():
            page.live, page.line = self.house.live, None

    @precondition(lambda self: len(self.house.db.events) > 40)
    @rule()
    def end(self) -> None:
        if self.pages["doctor"].connected:
            self.settle(self.run(self.pages["doctor"].act("end")))

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def nobody_unadmitted_holds_media(self) -> None:
        admitted = {seat.id for seat in self.house.db.rows("seats") if seat.state is SeatState.ADMITTED}
        assert self.house.inside <= admitted
        assert set(self.house.live.present(self.house.consult.id)) <= admitted

    @invariant()
    def only_people_who_permit_it_are_recorded(self) -> None:
        writing = self.house.recorder.writing.get(self.house.consult.id, frozenset())
        records = self.house.db.rows("consent_records")
        assert all(standing(records, seat, Purpose.REC_AV) is Standing.PERMITTED for seat in writing)
        if writing:
            undecided = [s for s in self.house.inside if standing(records, s, Purpose.REC_AV) is Standing.UNDECIDED]
            assert undecided == [], "recording goes on with somebody unsigned in the room"

    @invariant()
    def recording_is_said_only_when_it_is_on(self) -> None:
        recording = self.house.recorder.state(self.house.consult.id)
        active = recording is not None and recording.state is RecordingState.ACTIVE
        room = self.house.live.rooms.get(self.house.consult.id)
        if room is None:
            return
        for page in self.pages.values():
            if page.connected and page.seat.id in room.listening:
                said = page.recording is not None and page.recording["state"] == "active"
                assert said == active

    @invariant()
    def every_page_has_every_number(self) -> None:
        room = self.house.live.rooms.get(self.house.consult.id)
        if room is None:
            return
        for page in self.pages.values():
            if page.connected and page.seat.id in room.listening:
                assert (page.epoch, page.seq) == (room.log.epoch, room.log.seq)

    @invariant()
    def everybody_sees_the_same_seats(self) -> None:
        room = self.house.live.rooms.get(self.house.consult.id)
        if room is None:
            return
        states = {seat.id: seat.state.value for seat in self.house.db.rows("seats")}
        for page in self.pages.values():
            if page.connected and page.seat.id in room.listening:
                assert {seat["id"]: seat["state"] for seat in page.seats.values()} == states

    @invariant()
    def one_line_per_seat(self) -> None:
        for room in self.house.live.rooms.values():
            lines = [line.caller.seat_id for line in room.lines.values() if line.alive]
            assert len(lines) == len(set(lines))
            assert room.listening <= room.in_call


TestAnyOrder = Consultation.TestCase
TestAnyOrder.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
