"""No order of signing, withdrawing, joining, leaving, birthdays, new wording, further questions, corrections and
emergencies lets the gates grant what the ledger does not allow, or a no be asked again by anybody but the person.

The machine drives the real use cases and keeps its own, much simpler idea of who said what.
"""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar
from uuid import uuid4

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import visit
from clinic.actor import Actor
from clinic.calendar import age_on
from clinic.consult import Seat, SeatState
from clinic.errors import ClinicError
from clinic.people import Role
from consent import asking, desk, emergency, templates
from consent.emergency import Emergency
from consent.errors import (
    AlreadyRefused,
    CapacityInvalid,
    ConsentError,
    EmergencyNotOpen,
    NothingToAsk,
    NothingToCorrect,
    NothingToWithdraw,
    WordingChanged,
)
from consent.records import Purpose, SignerCapacity
from tests.consent.watched import PEOPLE, Watched
from tests.support.builders import World, signing

T = TypeVar("T")
who = st.sampled_from(PEOPLE)


class Ledger(Watched, RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.said: dict[tuple[str, Purpose], str] = {}  # the model: last word of each person on each purpose
        self.put: dict[tuple[str, Purpose], str] = {}  # the question as they last answered it
        self.age = 74  # the patient's
        self.wordings = 0
        self.seen: dict[str, Any] = {}

    def teardown(self) -> None:
        self.loop.close()

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

    @property
    def unaccompanied(self) -> bool:
        """A child under six whose guardian is not on record: the door is shut (CN-10)."""
        return self.age < 6

    def state(self, name: str) -> SeatState:
        return self.run(self.world.seat(self.seats[name])).state

    @precondition(lambda self: self.open)
    @rule(name=st.sampled_from(PEOPLE[:3]), treat=st.booleans(), record=st.booleans())
    def sign(self, name: str, treat: bool, record: bool) -> None:
        if self.state(name) is SeatState.REMOVED:
            return
        answers = {"rec_av": record} | ({"treat": treat} if name == "patient" else {})
        self.run(self._signed(name, **answers))

    async def _signed(self, name: str, *, again: bool = True, **answers: bool) -> set[Purpose]:
        """Whoever may sign does: the patient, or for a child the guardian with the child's assent. Returns the purposes
        put once more after a no, which only another question may be."""
        seat = self.seats[name]
        async with self.world.db.begin() as tx:
            shown = await desk.present(tx, seat.id, "zh", again=again)
            put = {row.purpose: row.question for row in shown.text.questions}
            anew = {each for each in put if not again and self.said.get((name, each)) in ("no", "withdrawn")}
            assert all(self.put[name, each] != put[each] for each in anew)
            given = signing(shown, seat.display_name, None, **answers)
            if shown.guardian_signs:
                given = replace(
                    given,
                    typed_name="张小红",
                    capacity=SignerCapacity.GUARDIAN,
                    relation="女儿",
                    child_assents=shown.child_must_assent,
                    child_name=seat.display_name if shown.child_must_assent else None,
                )
            await desk.sign(tx, self.world.sealer, seat.id, given)
        for purpose, answer in given.decisions.items():
            self.said[name, purpose] = "yes" if answer else "no"
            self.put[name, purpose] = put[purpose]
        return anew

    @precondition(lambda self: self.open)
    @rule(name=st.sampled_from(PEOPLE[:3]), yes=st.booleans())
    def sign_what_the_page_shows_unasked(self, name: str, yes: bool) -> None:
        """A page opened without the person's own wish never holds the question they said no to."""
        before = {
            purpose for (who_, purpose), said in self.said.items() if who_ == name and said in ("no", "withdrawn")
        }
        if self.state(name) is SeatState.REMOVED:
            return
        kept = {purpose: self.said[name, purpose] for purpose in before}
        anew: set[Purpose] = set()
        try:
            anew = self.run(self._signed(name, again=False, rec_av=yes, treat=yes))
        except AlreadyRefused:
            assert before
        assert all(self.said[name, purpose] == kept[purpose] for purpose in before - anew)

    @precondition(lambda self: self.open)
    @rule(age=st.sampled_from([5, 8, 13, 17, 18, 70]))
    def the_birth_date_is_corrected_or_a_birthday_comes(self, age: int) -> None:
        async def act() -> None:
            async with self.world.db.begin() as tx:
                row = await tx.patients.get(self.world.patient.id)
                born = date(self.world.clock().year - age, 1, 1)
                await tx.patients.save(replace(row, birth_date=born))
                await tx.append(AuditEvent(EventCode.PATIENT_CHANGED, row.institution_id, "system"))
                self.age = age_on(born, self.world.clock().date())

        self.run(act())

    @precondition(lambda self: self.open)
    @rule(capacity=st.sampled_from([SignerCapacity.SELF, SignerCapacity.GUARDIAN]), stale=st.booleans())
    def sign_in_a_wrong_capacity_or_under_an_old_text(self, capacity: SignerCapacity, stale: bool) -> None:
        """Refused, and the ledger is as it was."""
        seat = self.seats["patient"]
        child = self.age < 18
        wrong = (capacity is SignerCapacity.SELF) == child
        if self.state("patient") is SeatState.REMOVED or not (wrong or stale):
            return

        async def act() -> None:
            async with self.world.db.begin() as tx:
                shown = await desk.present(tx, seat.id, "zh", again=True)
            if stale:
                await self._publish()
            own = capacity is SignerCapacity.SELF
            given = replace(signing(shown, seat.display_name if own else "张小红"), capacity=capacity, relation="女儿")
            async with self.world.db.begin() as tx:
                await desk.sign(tx, self.world.sealer, seat.id, given)

        before = len(self.world.db.rows("consent_records"))
        try:
            self.run(act())
            raise AssertionError("signed")
        except (CapacityInvalid, WordingChanged):
            assert len(self.world.db.rows("consent_records")) == before

    async def _publish(self, reworded: Purpose | None = None) -> None:
        self.wordings += 1
        wording = next(row for row in templates.shipped() if (row.key, row.locale) == ("visit.patient", "zh"))
        async with self.world.db.begin() as tx:
            questions = tuple(
                replace(row, question=f"{row.question}（{self.wordings}）") if row.purpose is reworded else row
                for row in wording.questions
            )
            new = replace(wording, title=f"第{self.wordings}版", questions=questions)
            await templates.publish_wording(tx, self.world.home.id, new, self.world.system)

    @precondition(lambda self: self.open)
    @rule(reworded=st.sampled_from([None, Purpose.TREAT, Purpose.REC_AV]))
    def new_wording(self, reworded: Purpose | None) -> None:
        self.run(self._publish(reworded))

    @precondition(lambda self: self.open)
    @rule(purpose=st.sampled_from([Purpose.TREAT, Purpose.REC_AV, Purpose.INTIMATE, Purpose.AI_ASSIST]))
    def staff_ask(self, purpose: Purpose) -> None:
        async def act() -> None:
            async with self.world.db.begin() as tx:
                by = Actor.seated(await tx.seats.get(self.seats["doctor"].id))
                await asking.ask(tx, self.seats["patient"].id, [purpose], reason="", by=by)

        said = self.said.get(("patient", purpose))
        try:
            self.run(act())
            assert said in (None, "open")  # what was corrected may be asked again
        except AlreadyRefused:
            assert said in ("no", "withdrawn")
        except NothingToAsk:
            assert said in ("yes", "open")

    @rule(number=st.integers(0, 5))
    def a_record_is_corrected(self, number: int) -> None:
        rows = self.world.db.rows("consent_records")
        if not rows:
            return
        wrong = rows[-1 - number % len(rows)]

        async def act() -> Any:
            async with self.world.db.begin() as tx:
                by = Actor.staff(self.world.nurse)
                return await desk.correct(
                    tx, self.world.sealer, wrong.id, reason="记错了", operation_id=uuid4().hex, by=by
                )

        try:
            made = self.run(act())
        except NothingToCorrect:
            return
        name = next(each for each in PEOPLE if self.seats[each].id == wrong.seat_id)
        for purpose in made.permitted:
            self.said[name, purpose] = "open"

    @rule()
    def an_emergency_is_approved(self) -> None:
        async def act() -> None:
            found = Emergency(uuid4().hex, "昏迷", "电话未接")
            async with self.world.db.begin() as tx:
                by = Actor.staff(self.world.approver)
                await emergency.approve(tx, self.world.sealer, self.consult_id, found, by=by)

        said = self.said.get(("patient", Purpose.TREAT))
        try:
            self.run(act())
        except EmergencyNotOpen:
            assert said not in (None, "open")
        except ConsentError:
            assert not self.open
        else:
            assert said in (None, "open")
            self.said["patient", Purpose.TREAT] = "yes"

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
            assert not self.open or self.state(name) is SeatState.REMOVED or self.unaccompanied

    @rule(name=st.sampled_from(PEOPLE[:3]))
    def admit(self, name: str) -> None:
        before = self.state(name)
        try:
            self.run(self.world.admit(self.seats[name]))
        except ClinicError:
            assert before not in (SeatState.WAITING, SeatState.ADMITTED) or not self.open or self.unaccompanied

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


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)
