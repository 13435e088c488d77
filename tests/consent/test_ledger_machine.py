"""No order of signing, withdrawing, joining and leaving lets the gates grant what the ledger does not allow.

The machine drives the real use cases and keeps its own, much simpler idea of who said what.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clinic import visit
from clinic.actor import Actor
from clinic.consult import ConsultStatus, Seat, SeatState
from clinic.errors import ClinicError
from clinic.people import Role
from consent import gate
from consent.errors import ConsentMissing, NothingToWithdraw, RecordingNotPermitted
from consent.gate import OnWithdrawal, RecordingPolicy
from consent.records import Purpose
from tests.support.builders import World

T = TypeVar("T")
PEOPLE = ("patient", "daughter", "interpreter", "doctor")
who = st.sampled_from(PEOPLE)
POLICIES = (RecordingPolicy(), RecordingPolicy(OnWithdrawal.STOP))


class Ledger(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.said: dict[tuple[str, Purpose], str] = {}  # the model: last word of each person on each purpose

    def teardown(self) -> None:
        self.loop.close()

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(act)

    @initialize(running=st.sampled_from([True, True, True, False]))
    def begin(self, running: bool) -> None:
        self.run(self._begin())
        if running:
            self.sign("patient", treat=True, record=True)
            self.doctor_reads_the_notice()
            for name in ("patient", "doctor"):
                self.enter(name)
            self.admit("patient")

    async def _begin(self) -> None:
        self.world = await World.create()
        booked = await self.world.book()
        self.consult_id = booked.consult.id
        self.seats: dict[str, Seat] = {
            "patient": booked.patient_seat,
            "doctor": booked.doctor_seat,
            "daughter": await self.world.guest(booked.consult),
            "interpreter": await self.world.guest(booked.consult, "李译", Role.INTERPRETER),
        }

    @property
    def open(self) -> bool:
        return self.run(self.world.consult(self.consult_id)).media_open

    def state(self, name: str) -> SeatState:
        return self.run(self.world.seat(self.seats[name])).state

    @precondition(lambda self: self.open)
    @rule(name=st.sampled_from(PEOPLE[:3]), treat=st.booleans(), record=st.booleans())
    def sign(self, name: str, treat: bool, record: bool) -> None:
        if self.state(name) is SeatState.REMOVED:
            return
        answers = {"rec_av": record} | ({"treat": treat} if name == "patient" else {})
        self.run(self.world.sign(self.seats[name], **answers))
        self.said[name, Purpose.REC_AV] = "yes" if record else "no"
        if name == "patient":
            self.said[name, Purpose.TREAT] = "yes" if treat else "no"

    @rule(name=st.sampled_from(PEOPLE[:3]), purpose=st.sampled_from([Purpose.TREAT, Purpose.REC_AV]))
    def withdraw(self, name: str, purpose: Purpose) -> None:
        try:
            self.run(self.world.withdraw(self.seats[name], purpose))
        except NothingToWithdraw:
            assert self.said.get((name, purpose)) != "yes"
            return
        assert self.said[name, purpose] == "yes"
        self.said[name, purpose] = "withdrawn"

    @rule()
    def doctor_reads_the_notice(self) -> None:
        self.run(self.world.notice(self.seats["doctor"]))
        self.said["doctor", Purpose.REC_AV] = "yes"

    @rule(name=who)
    def enter(self, name: str) -> None:
        try:
            self.run(self.world.enter(self.seats[name]))
        except ClinicError:
            assert not self.open or self.state(name) is SeatState.REMOVED

    @rule(name=st.sampled_from(PEOPLE[:3]))
    def admit(self, name: str) -> None:
        before = self.state(name)
        try:
            self.run(self.world.admit(self.seats[name]))
        except ClinicError:
            assert before not in (SeatState.WAITING, SeatState.ADMITTED) or not self.open

    @rule(name=who)
    def leave(self, name: str) -> None:
        async def act() -> None:
            async with self.world.db.begin() as tx:
                await visit.leave(tx, self.seats[name].id, self.world.system)

        self.run(act())

    @rule(name=st.sampled_from(PEOPLE[1:3]), record=st.sampled_from([True, False, None]))
    def bring(self, name: str, record: bool | None) -> None:
        """A guest comes in, signed or not."""
        if record is not None and self.open:
            self.sign(name, treat=True, record=record)
        self.enter(name)
        self.admit(name)

    @precondition(lambda self: self.rarely())
    @rule(name=st.sampled_from(PEOPLE[:3]))
    def remove(self, name: str) -> None:
        async def act() -> None:
            async with self.world.db.begin() as tx:
                by = Actor.staff(self.world.doctor)
                await visit.remove(tx, self.consult_id, self.seats[name].id, by, "not_invited")

        try:
            self.run(act())
        except ClinicError:
            assert self.state(name) is SeatState.REMOVED

    @precondition(lambda self: self.rarely())
    @rule()
    def conclude(self) -> None:
        async def act() -> None:
            async with self.world.db.begin() as tx:
                await visit.conclude(tx, self.consult_id, Actor.staff(self.world.doctor))

        try:
            self.run(act())
        except ClinicError:
            pass

    def rarely(self) -> bool:
        """Endings come late, or every run would be over before it began."""
        return len(self.world.db.events) > 60

    @invariant()
    def recording_follows_the_ledger(self) -> None:
        if hasattr(self, "seats"):
            for policy in POLICIES:
                self.ask_for_a_recording(policy)

    def ask_for_a_recording(self, policy: RecordingPolicy) -> None:
        consult = self.run(self.world.consult(self.consult_id))
        present = [seat for seat in map(self._row, PEOPLE) if seat.state is SeatState.ADMITTED]
        names = {self.seats[name].id: name for name in PEOPLE}
        records = self.run(self.world.records(consult))
        word = {names[seat.id]: self.said.get((names[seat.id], Purpose.REC_AV)) for seat in present}
        try:
            made = gate.recording_grant(consult, "r", present, records, policy=policy, now=self.world.clock())
        except RecordingNotPermitted:
            everybody = all(said == "yes" for said in word.values())
            patient = self.said.get(("patient", Purpose.REC_AV)) == "yes"
            assert not (everybody and patient and word and consult.status is ConsultStatus.IN_PROGRESS)
            return
        assert consult.status is ConsultStatus.IN_PROGRESS
        assert self.said["patient", Purpose.REC_AV] == "yes"
        assert made.seats == {seat.id for seat in present}
        for seat_id, name in names.items():
            if seat_id in made.recorded:
                assert word[name] == "yes"
            elif seat_id in made.seats:
                assert word[name] == "withdrawn"
                assert name not in ("patient", "doctor")
                assert policy.other_withdraws is OnWithdrawal.PRIVACY_INTERVAL

    def _row(self, name: str) -> Seat:
        return self.run(self.world.seat(self.seats[name]))

    @invariant()
    def media_follow_the_ledger(self) -> None:
        if not hasattr(self, "seats"):
            return
        consult = self.run(self.world.consult(self.consult_id))
        records = self.run(self.world.records(consult))
        try:
            gate.require(records, consult, self.seats["patient"])
        except ConsentMissing:
            assert self.said.get(("patient", Purpose.TREAT)) != "yes"
        else:
            assert self.said[("patient", Purpose.TREAT)] == "yes"


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
