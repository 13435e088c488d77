"""Any order of sign, withdraw, join, leave, pause, exam, declaration, age or template change, crash: at no instant is a
packet recorded or forwarded that the ledger does not allow. The oracle below reads the rows by itself, not the gate.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import SeatState
from clinic.people import Role
from consent.records import ConsentAction, ConsentRecord, ConsentTemplate, Purpose
from rtc.negotiation import Source
from tests.signaling.ward import Ward, ward
from tests.support.session_client import SessionClient

PEOPLE = ("doctor", "patient", "daughter", "interpreter", "student", "nurse")
STAFF = ("doctor", "nurse")
people, staff = st.sampled_from(PEOPLE), st.sampled_from(STAFF)
signers = st.sampled_from(("patient", "daughter", "interpreter", "student"))


def last_word(records: Sequence[ConsentRecord], seat_id: str, purpose: Purpose) -> str:
    """yes, no, withdrawn or nothing: the newest row that speaks of it."""
    word = "nothing"
    for row in records:
        if row.seat_id == seat_id and purpose in row.permitted:
            word = "withdrawn" if row.action is ConsentAction.WITHDRAWN else "yes"
        elif row.seat_id == seat_id and purpose in row.refused:
            word = "no"
    return word


class Truth:
    """What the rows allow now."""

    def __init__(self, house: Ward) -> None:
        self.records: list[ConsentRecord] = house.db.rows("consent_records")
        self.seats = {seat.id: seat for seat in house.db.rows("seats")}
        self.patient = house.seats["patient"].id
        self.running = house.consult_row().status.value == "in_progress"
        paused = {row.id for row in self.records if row.action is ConsentAction.PAUSED}
        self.paused = bool(paused - {row.withdraws for row in self.records if row.action is ConsentAction.RESUMED})
        exams = [row for row in self.records if Purpose.INTIMATE in row.permitted and row.template_id is None]
        self.exam = bool(exams) and exams[-1].action is ConsentAction.SIGNED

    def records_of(self, seat_id: str) -> bool:
        return last_word(self.records, seat_id, Purpose.REC_AV) == "yes"

    def recording_allowed(self, inside: set[str]) -> bool:
        if not self.running or self.paused or self.exam or not self.records_of(self.patient):
            return False
        for seat_id in inside:
            word = last_word(self.records, seat_id, Purpose.REC_AV)
            if word == "yes":
                continue
            if word != "withdrawn" or self.seats[seat_id].role is Role.DECLARED:
                return False  # undecided or refused: nobody is recorded beside them
        return True

    def present(self, inside: set[str]) -> set[str]:
        sides = {
            seat.id
            for seat in self.seats.values()
            if seat.role is Role.DECLARED and seat.state is SeatState.ADMITTED and seat.created_by in inside
        }
        return inside | sides

    def may_see(self, viewer: str, sender: str, source: Source) -> bool:
        role = self.seats[viewer].role
        if SeatState.ADMITTED not in (self.seats[viewer].state, self.seats[sender].state):
            return False
        if role is Role.OBSERVER and last_word(self.records, self.patient, Purpose.OBSERVE) != "yes":
            return False
        bare = self.exam and sender == self.patient and source is not Source.MICROPHONE
        return not (bare and role in (Role.FAMILY, Role.INTERPRETER, Role.OBSERVER))


class LedgerRulesMedia(RuleBasedStateMachine):
    @initialize(recording=st.booleans())
    def open_the_ward(self, recording: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.house: Ward = self.run(ward(observed=True))
        self.pages: dict[str, SessionClient] = {who: self.house.page(who) for who in PEOPLE}
        self.declared: list[tuple[str, str]] = []
        self.pages["doctor"], self.pages["patient"] = self.run(self.house.in_call())
        if recording:
            self.act("doctor", "recording.start")

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.house.live.close())
            self.loop.close()

    def act(self, who: str, event: str, **body: Any) -> dict[str, Any]:
        if not self.pages[who].connected:
            return {"ok": False}
        ack: dict[str, Any] = self.run(self.pages[who].act(event, **body))
        assert ack.get("code") != "server.internal", "a defect"
        return ack

    @rule(who=people)
    def join(self, who: str) -> None:
        if self.pages[who].connected:
            self.pages[who].lose()
        assert self.run(self.pages[who].join(takeover=True)).get("code") != "server.internal"

    @rule(who=st.sampled_from(("patient", "daughter", "interpreter", "student")))
    def come_in(self, who: str) -> None:
        self.join(who)
        self.act("doctor", "admit", seat=self.pages[who].seat.id)

    @rule(who=people)
    def lose(self, who: str) -> None:
        self.pages[who].lose()

    @rule(who=people)
    def leave(self, who: str) -> None:
        self.act(who, "leave")
        self.pages[who].lose()

    @rule(who=st.sampled_from(("daughter", "interpreter", "student", "nurse")))
    def remove(self, who: str) -> None:
        self.act("doctor", "remove", seat=self.pages[who].seat.id)

    @rule(who=signers, agree=st.booleans(), observed=st.booleans())
    def sign(self, who: str, agree: bool, observed: bool) -> None:
        yes: list[Purpose] = []
        no: list[Purpose] = []
        if who == "patient":
            yes.append(Purpose.TREAT)
            (yes if observed else no).append(Purpose.OBSERVE)
        (yes if agree else no).append(Purpose.REC_AV)
        self.run(self.house.sign(who, permitted=tuple(yes), refused=tuple(no)))

    @rule(who=signers, purpose=st.sampled_from(("rec_av", "rec_av", "observe", "intimate")))
    def withdraw(self, who: str, purpose: str) -> None:
        self.act(who, "consent.withdraw", purposes=[purpose])

    @rule(who=people)
    def pause(self, who: str) -> None:
        self.act(who, "privacy.pause")

    @rule(who=people)
    def resume(self, who: str) -> None:
        self.act(who, "privacy.resume")

    @rule(agrees=st.sampled_from((True, True, False)))
    def exam(self, agrees: bool) -> None:
        self.act("doctor", "exam.request")
        self.act("patient", "exam.answer", agrees=agrees)

    @rule(who=st.sampled_from(("doctor", "patient")))
    def end_exam(self, who: str) -> None:
        self.act(who, "exam.end")

    @rule(who=staff, agrees=st.sampled_from((None, True, False)))
    def declare(self, who: str, agrees: bool | None) -> None:
        ack = self.act(who, "person.declare", display_name="旁人", kind="nurse", agrees=agrees)
        if ack["ok"]:
            self.declared.append((who, ack["seat"]))

    @rule(gone=st.booleans(), agrees=st.booleans())
    def undeclare(self, gone: bool, agrees: bool) -> None:
        if self.declared:
            who, seat = self.declared[-1]
            body = {} if gone else {"agrees": agrees}
            self.act(who, "person.gone" if gone else "person.answer", seat=seat, **body)

    @rule(starts=st.sampled_from((True, True, False)))
    def record(self, starts: bool) -> None:
        self.act("doctor", "recording.start" if starts else "recording.stop")

    @rule(years=st.sampled_from((1950, 2015, 2022)))
    def age_changes(self, years: int) -> None:
        """A birth date is corrected: the ledger of this consult still decides."""
        self.run(self._age(date(years, 1, 1)))

    async def _age(self, born: date) -> None:
        async with self.house.db.begin() as tx:
            patient = await tx.patients.get(self.house.consult.patient_id)
            await tx.patients.save(replace(patient, birth_date=born))
            await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, patient.institution_id, "system"))

    @rule()
    def template_changes(self) -> None:
        """New wording: nobody has signed it, and nothing signed is undone by it."""
        self.run(self._publish())

    async def _publish(self) -> None:
        async with self.house.db.begin() as tx:
            house = self.house.consult.institution_id
            version = len(self.house.db.rows("consent_templates")) + 1
            text = ConsentTemplate(
                uuid4().hex, house, "visit.patient", version, "zh", "新版", (), (), (), "0" * 64, tx.now, "system"
            )
            await tx.consent_templates.add(text)
            await tx.append(AuditEvent(EventCode.TEMPLATE_PUBLISHED, house, "system"))

    @rule(seconds=st.sampled_from((1, 20, 61)))
    def time_passes(self, seconds: int) -> None:
        self.run(self.house.tick(seconds))

    @rule()
    def crash(self) -> None:
        """Without a farewell: the process is gone, the rows are not."""
        self.run(self.house.live.close())
        self.house.boot()
        self.run(self.house.live.restore())
        for page in self.pages.values():
            page.live, page.line = self.house.live, None

    # -- at every instant: one packet of everything from everybody ----------------------------------------------------

    @invariant()
    def nothing_is_recorded_that_the_ledger_does_not_allow(self) -> None:
        writing = self.house.recorder.writing.get(self.house.consult.id, frozenset())
        if not writing:
            return
        truth = Truth(self.house)
        assert truth.recording_allowed(truth.present(set(self.house.inside)))
        assert all(truth.records_of(seat_id) for seat_id in writing)

    @invariant()
    def nothing_is_forwarded_that_the_ledger_does_not_allow(self) -> None:
        room = self.house.media.room(self.house.consult.id)
        if room is None:
            return
        truth = Truth(self.house)
        for sender in list(room.people):
            for source in Source:
                reached = room.packet(sender, source)
                assert not reached or truth.seats[sender].role is not Role.OBSERVER
                for viewer in reached:
                    assert truth.may_see(viewer, sender, source), (truth.seats[viewer].role, source)

    @invariant()
    def everybody_is_told_of_pauses_and_exams(self) -> None:
        room = self.house.live.rooms.get(self.house.consult.id)
        if room is None:
            return
        truth = Truth(self.house)
        for page in self.pages.values():
            if page.connected and page.seat.id in room.listening:
                exam = page.privacy.get("exam", {}).get("state") in ("on", "closing")
                assert (bool(page.privacy.get("pauses")), exam) == (truth.paused, truth.exam)


TestLedgerRulesMedia = LedgerRulesMedia.TestCase
TestLedgerRulesMedia.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
