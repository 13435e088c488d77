"""One clinic with one follow-up visit booked for now, everybody's seat in it, and the live edge on fakes."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import attesting, booking, filings, registration
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind, Seat
from clinic.people import IdentityLevel, Role, Staff
from consent.records import ConsentAction, ConsentRecord, Purpose, SignerCapacity
from signaling import consenting, upkeep
from signaling.live import Live
from signaling.ports import InviteLink
from tests.support.clock import START, FakeClock
from tests.support.fake_media import FakeMedia, FakeRoom
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory import MemoryDatabase
from tests.support.proofs import filing, prove
from tests.support.session_client import SessionClient

FAR = date(2030, 1, 1)


class FakeSealer:
    def seal(self, institution_id: str, digest: str, at: int) -> str:
        return f"seal.{institution_id}.{digest}.{at}"

    def holds(self, institution_id: str, digest: str, jws: str) -> bool:
        return jws.startswith(f"seal.{institution_id}.{digest}.")


async def issue_link(tx: Any, seat: Seat, by: Actor) -> InviteLink:
    del by
    return InviteLink(f"http://x/p#{seat.id}", "<svg/>", tx.now + timedelta(days=1), "123456")


class Counted:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.gauges: dict[str, float] = {}

    def count(self, name: str, label: str = "") -> None:
        self.counts[f"{name}:{label}"] = self.counts.get(f"{name}:{label}", 0) + 1

    def gauge(self, name: str, value: float) -> None:
        self.gauges[name] = value


class Ward:
    """Made by `await ward()`. `pauses` are the sleeps the retries asked for; none is really slept."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.db = MemoryDatabase(self.clock)
        self.counters = Counted()
        self.pauses: list[float] = []
        self.consult: Consult
        self.doctor: Staff
        self.seats: dict[str, Seat] = {}
        self.boot()

    def boot(self) -> None:
        """A fresh process over the same database."""
        self.media = FakeMedia()
        self.live = Live(
            self.db, self.media, FakeSealer(), issue_link, clock=self.clock, counters=self.counters, sleep=self._sleep
        )
        self.recorder = FakeRecorder(self.db, self.live.present, self.clock)
        self.recorder.on_changed = self.live.recording_changed
        self.live.recorder = self.recorder

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def room(self) -> FakeRoom:
        return self.media.rooms[self.consult.id]

    @property
    def inside(self) -> set[str]:
        """Who holds media."""
        room = self.media.room(self.consult.id)
        return set(room.people) if room is not None else set()

    def page(self, who: str, device: str = "") -> SessionClient:
        return SessionClient(self.live, self.seats[who], device or f"device-of-{who}")

    def seat_row(self, who: str) -> Seat:
        row: Seat = next(seat for seat in self.db.rows("seats") if seat.id == self.seats[who].id)
        return row

    def consult_row(self) -> Consult:
        row: Consult = next(each for each in self.db.rows("consults") if each.id == self.consult.id)
        return row

    async def tick(self, seconds: float) -> None:
        """Let time pass second by second."""
        for _ in range(round(seconds)):
            self.clock.advance(1)
            await upkeep.tick(self.live, self.clock())

    async def drain(self) -> None:
        await self.live.chores.drain()

    async def sign(
        self,
        who: str,
        *,
        permitted: tuple[Purpose, ...],
        refused: tuple[Purpose, ...] = (),
        shared: tuple[str, ...] = (),
    ) -> None:
        """As the consent desk would leave it, then told to the live edge."""
        seat = self.seats[who]
        async with self.db.begin() as tx:
            record = ConsentRecord(
                uuid4().hex,
                seat.institution_id,
                seat.consult_id,
                seat.id,
                ConsentAction.SIGNED,
                permitted,
                refused,
                shared,
                SignerCapacity.SELF,
                None,
                "zh",
                "{}",
                "0" * 64,
                "seal",
                tx.now,
            )
            await tx.consent_records.add(record)
            await tx.append(
                AuditEvent(EventCode.CONSENT_SIGNED, seat.institution_id, seat.id, seat.consult_id, record.id)
            )
        await consenting.consent_changed(self.live, seat.consult_id, seat.id)

    async def in_call(self, *guests: str) -> tuple[SessionClient, ...]:
        """Doctor and patient (and guests) admitted and connected; patient and doctor agree to everything."""
        await self.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV))
        doctor, patient = self.page("doctor"), self.page("patient")
        assert (await doctor.join())["ok"]
        people = [patient, *(self.page(name) for name in guests)]
        for person in people:
            assert (await person.join())["ok"]
            assert (await doctor.act("admit", seat=person.seat.id))["ok"]
        return (doctor, *people)


async def ward(*, observed: bool = False) -> Ward:
    made = Ward()
    await furnish(made, observed=observed)
    return made


async def furnish(made: Ward, *, observed: bool = False) -> None:
    """The clinic's people and one booked visit, in the ward's database."""
    async with made.db.begin() as tx:
        home = await registration.create_institution(
            tx,
            registration.NewInstitution(
                name="惠真医院",
                short_name="惠真",
                licence_number="L1",
                licence_valid_to=FAR,
                departments=("cardiology",),
                phone="010-1",
            ),
        )
        system = Actor.system(home.id)
        made.doctor = await registration.create_staff(
            tx,
            registration.NewStaff(
                institution_id=home.id,
                login="doctor",
                name="王医生",
                roles=(Role.ATTENDING, Role.INVITING),
                title="主任医师",
                department="cardiology",
                licence_number="D1",
                licence_valid_to=FAR,
                practice_scope=("cardiology",),
                independent_since=date(2010, 1, 1),
                verified_until=FAR,
            ),
            system,
        )
        await filings.file_practice(tx, made.doctor.id, filing(), system)
        patient = await registration.create_patient(
            tx,
            registration.NewPatient(
                institution_id=home.id,
                name="李秀英",
                birth_date=date(1950, 5, 1),
                gender="F",
                id_number="11010119500501002X",
                phone="13800000000",
                identity_level=IdentityLevel.L3,
            ),
            system,
        )
    made.consult = await book(made, patient.id, observed=observed)


async def book(made: Ward, patient_id: str, *, starts_at: datetime = START, observed: bool = False) -> Consult:
    """A follow-up for this patient; fills `seats`. `observed`: with a student who watches."""
    async with made.db.begin() as tx:
        by = Actor.staff(made.doctor)
        booked = await booking.book(
            tx,
            booking.NewConsult(
                kind=ConsultKind.FOLLOW_UP,
                department="cardiology",
                doctor_id=made.doctor.id,
                patient_id=patient_id,
                reason="复诊",
                fee_cents=1000,
                starts_at=starts_at,
                ends_at=starts_at + timedelta(minutes=20),
                evidence=(
                    booking.NewEvidence(
                        department="cardiology",
                        visited_on=date(2026, 2, 1).isoformat(),
                        visited_institution="惠真医院",
                        diagnosis="高血压",
                        reference="OP-1",
                    ),
                ),
            ),
            by,
        )
        made.seats |= {"doctor": booked.doctor_seat, "patient": booked.patient_seat}
        guests = (("daughter", Role.FAMILY), ("interpreter", Role.INTERPRETER))
        for name, role in guests if not observed else (*guests, ("student", Role.OBSERVER)):
            guest = booking.NewGuest(role, name, "家属")
            made.seats[name] = await booking.add_guest(tx, booked.consult.id, guest, by)
        nurse = replace(booked.doctor_seat, id=uuid4().hex, role=Role.NURSE, person_id=None, display_name="护士")
        await tx.seats.add(nurse)
        event = AuditEvent(EventCode.SEAT_ADDED, nurse.institution_id, by.id, nurse.consult_id, nurse.id)
        await tx.append(event)
        made.seats["nurse"] = nurse
        await prove(tx, made.doctor)
        proof = (await tx.follow_up_evidence.find(consult_id=booked.consult.id))[0]
        await attesting.attest(tx, FakeSealer(), booked.consult.id, proof.id, "高血压", by)
    return booked.consult
