"""A small world of people and consults in the in-memory database, built through the real use cases."""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import attesting, booking, filings, notes, registration, visit
from clinic.actor import Actor
from clinic.booking import Booked, NewConsult, NewEvidence, NewGuest
from clinic.consult import Consult, ConsultKind, Seat
from clinic.panels import answering, deciding, opining, requesting
from clinic.panels.records import Adoption, Invitation, InvitationState
from clinic.people import IdentityLevel, Institution, Patient, Role, Staff
from consent import desk, templates
from consent.companions import Companion
from consent.records import ConsentRecord, Purpose
from consent.signing import PNG, Signing
from recording.records import Recording, RecordingState, Segment, Track
from tests.support.agreements import agree, send, to_partner
from tests.support.clock import FakeClock
from tests.support.memory import MemoryDatabase
from tests.support.proofs import filing, prove

CARDIOLOGY = "03.04"
STROKES = (((10, 10, 0), (20, 12, 16), (30, 15, 33)), ((40, 10, 200), (44, 30, 240)))
IMAGE = PNG + b"drawn"


class FakeSealer:
    """Seals by naming what it seals."""

    def __init__(self) -> None:
        self.sealed: list[tuple[str, str, int]] = []

    def seal(self, institution_id: str, digest: str, at: int) -> str:
        self.sealed.append((institution_id, digest, at))
        return f"seal.{institution_id}.{digest}.{at}"

    def holds(self, institution_id: str, digest: str, jws: str) -> bool:
        return jws.startswith(f"seal.{institution_id}.{digest}.")


class Broken(Exception):
    """The fault a test injects."""


@dataclass
class Faults:
    """Counts steps of the outside world; the n-th one breaks, before or after it took effect."""

    at: int = -1
    after: bool = False
    steps: int = 0

    def before_step(self) -> None:
        self.steps += 1
        if not self.after and self.steps == self.at:
            raise Broken(str(self.at))

    def after_step(self) -> None:
        if self.after and self.steps == self.at:
            raise Broken(str(self.at))


class FakeKeyRing:
    """Keys in a dictionary; destroyed ones leave a tombstone."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.keys: dict[tuple[str, str], bytes] = {}
        self.tombstones: dict[tuple[str, str], str] = {}
        self.faults = faults or Faults()

    async def create(self, institution_id: str, key_id: str) -> bytes:
        return self.keys.setdefault((institution_id, key_id), hashlib.sha256(key_id.encode()).digest())

    async def get(self, institution_id: str, key_id: str) -> bytes:
        return self.keys[institution_id, key_id]

    async def destroy(self, institution_id: str, key_id: str) -> str:
        self.faults.before_step()
        key = self.keys.pop((institution_id, key_id), b"never there")
        mark = self.tombstones.setdefault((institution_id, key_id), hashlib.sha256(key).hexdigest())
        self.faults.after_step()
        return mark


class FakeBlobs:
    """Objects by key. `sticky` keys survive deletion, as a store that lies."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.sticky: set[str] = set()
        self.faults = faults or Faults()

    async def put(self, key: str, source: Path) -> str:
        self.objects[key] = source.read_bytes()
        return hashlib.sha256(self.objects[key]).hexdigest()

    async def size(self, key: str) -> int:
        return len(self.objects[key])

    async def read(self, key: str, start: int, length: int) -> bytes:
        return self.objects[key][start : start + length]

    async def stream(self, key: str) -> Any:
        yield self.objects[key]

    async def delete(self, key: str) -> None:
        self.faults.before_step()
        if key not in self.sticky:
            self.objects.pop(key, None)
        self.faults.after_step()

    async def list(self, prefix: str) -> list[str]:
        self.faults.before_step()
        found = sorted(key for key in self.objects if key.startswith(prefix))
        self.faults.after_step()
        return found


class World:
    """`await World.create()`: a county hospital with its people, a partner with experts, all wording published."""

    home: Institution
    partner: Institution
    doctor: Staff
    clinic_doctor: Staff
    nurse: Staff
    archivist: Staff
    approver: Staff
    approver2: Staff
    admin: Staff
    experts: list[Staff]
    patient: Patient

    def __init__(self, clock: FakeClock | None = None, db: Any = None, sealer: Any = None) -> None:
        self.clock = clock or FakeClock()
        self.db: MemoryDatabase = db or MemoryDatabase(self.clock)
        self.sealer: FakeSealer = sealer or FakeSealer()
        self.system: Actor

    @classmethod
    async def create(cls, clock: FakeClock | None = None, db: Any = None, sealer: Any = None) -> "World":
        """On the in-memory database, or on another one with its sealer (pass the same clock)."""
        world = cls(clock, db, sealer)
        async with world.db.begin() as tx:
            world.home = await registration.create_institution(tx, institution("县人民医院", "County Hospital"))
            world.partner = await registration.create_institution(tx, institution("市中心医院", "City Hospital"))
            world.system = Actor.system(world.home.id)
            there = Actor.system(world.partner.id)
            hire = {
                "doctor": (Role.ATTENDING,),
                "clinic_doctor": (Role.INVITING, Role.ATTENDING),
                "nurse": (Role.NURSE,),
                "archivist": (Role.ARCHIVIST,),
                "approver": (Role.APPROVER,),
                "approver2": (Role.APPROVER,),
                "admin": (Role.ADMIN,),
            }
            for login, roles in hire.items():
                setattr(
                    world, login, await registration.create_staff(tx, staff(world.home.id, login, roles), world.system)
                )
            world.experts = [
                await registration.create_staff(tx, staff(world.partner.id, f"expert{n}", (Role.EXPERT,)), there)
                for n in (1, 2)
            ]
            for member in (world.doctor, world.clinic_doctor):
                await filings.file_practice(tx, member.id, filing(), world.system)
            world.patient = await registration.create_patient(tx, patient(world.home.id), world.system)
            await templates.publish(tx, world.home.id, world.system)
        return world

    async def book(self, **changes: Any) -> Booked:
        """A follow-up that starts now."""
        now = self.clock()
        values: dict[str, Any] = {
            "kind": ConsultKind.FOLLOW_UP,
            "department": CARDIOLOGY,
            "doctor_id": self.doctor.id,
            "patient_id": self.patient.id,
            "reason": "复查血压",
            "fee_cents": 3000,
            "starts_at": now,
            "ends_at": now + timedelta(minutes=30),
            "evidence": (evidence(now.date() - timedelta(days=20)),),
        }
        async with self.db.begin() as tx:
            booked = await booking.book(tx, NewConsult(**{**values, **changes}), self.system)
        await self.ready(booked.consult)
        return booked

    async def ready(self, consult: Consult) -> None:
        """What a doctor does before the first patient: sign in, and attest the follow-up when there is a proof."""
        async with self.db.begin() as tx:
            doctor = await tx.staff.get(consult.doctor_id)
            proofs = await tx.follow_up_evidence.find(consult_id=consult.id)
            await prove(tx, doctor)
            if proofs and consult.kind is ConsultKind.FOLLOW_UP:
                await attesting.attest(tx, self.sealer, consult.id, proofs[0].id, "高血压", Actor.staff(doctor))

    async def book_panel(self) -> Booked:
        """An expert consult, nobody asked yet."""
        return await self.book(
            kind=ConsultKind.EXPERT_CONSULT, doctor_id=self.clinic_doctor.id, evidence=(), reason="请专家会诊"
        )

    async def ask(self, consult: Consult, chair: bool = True) -> tuple[Invitation, ...]:
        """The partner's experts, by a request that passed its gate; the first of them to lead."""
        async with self.db.begin() as tx:
            if not await tx.cooperation_agreements.find(invited_id=self.partner.id):
                await agree(tx, self.sealer, self.home.id, self.partner.id)
            experts = tuple(expert.id for expert in self.experts)
            by = Actor.staff(self.clinic_doctor)
            await requesting.draft(tx, consult.id, to_partner(self.partner.id, experts, chair), by)
            await send(tx, self.sealer, consult, by)
            return tuple(await tx.invitations.find(consult_id=consult.id, state=InvitationState.SENT))

    async def answer(self, invitation: Invitation, accept: bool = True) -> Seat | None:
        expert = next(expert for expert in self.experts if expert.id == invitation.expert_id)
        async with self.db.begin() as tx:
            reason = None if accept else "时间冲突"
            return (await answering.answer_invitation(tx, invitation.id, Actor.staff(expert), accept, reason))[1]

    async def guest(self, consult: Consult, name: str = "张小红", role: Role = Role.FAMILY) -> Seat:
        async with self.db.begin() as tx:
            by = Actor.staff(await tx.staff.get(consult.doctor_id))
            return await booking.add_guest(tx, consult.id, NewGuest(role, name, "女儿"), by)

    async def enter(self, seat: Seat) -> Seat:
        async with self.db.begin() as tx:
            return (await visit.enter(tx, seat.id)).seat

    async def admit(self, seat: Seat) -> Seat:
        """By the doctor, who proves who they are when that was too long ago."""
        async with self.db.begin() as tx:
            consult = await tx.consults.get(seat.consult_id)
            proven = await tx.authentications.find(id=consult.doctor_id)
            if not proven or tx.now - proven[0].at > timedelta(minutes=10):
                await prove(tx, await tx.staff.get(consult.doctor_id))
        async with self.db.begin() as tx:
            consult = await tx.consults.get(seat.consult_id)
            by = Actor.staff(await tx.staff.get(consult.doctor_id))
            return (await visit.admit(tx, consult.id, seat.id, by)).seat

    async def notice(self, seat: Seat) -> ConsentRecord:
        async with self.db.begin() as tx:
            return await desk.notice(tx, self.sealer, seat.id)

    async def sign(self, seat: Seat, **answers: bool) -> ConsentRecord:
        """Sign everything with yes, except what `answers` says (`rec_av=False`)."""
        async with self.db.begin() as tx:
            shown = await desk.present(tx, seat.id, "zh", again=True)
            return await desk.sign(tx, self.sealer, seat.id, signing(shown, seat.display_name, None, **answers))

    async def withdraw(self, seat: Seat, *purposes: Purpose) -> ConsentRecord:
        async with self.db.begin() as tx:
            return await desk.withdraw(
                tx, self.sealer, seat.id, purposes, reason="", operation_id=uuid4().hex, by=Actor.seated(seat)
            )

    async def call(self, booked: Booked) -> Consult:
        """Patient signs, waits, is admitted by the doctor, who is inside: the call runs."""
        await self.sign(booked.patient_seat)
        await self.enter(booked.patient_seat)
        await self.enter(booked.doctor_seat)
        await self.notice(booked.doctor_seat)
        await self.admit(booked.patient_seat)
        return await self.consult(booked.consult.id)

    async def finish(self, consult: Consult) -> Consult:
        """Concluded, noted, signed, closed."""
        by = Actor.staff(self.doctor)
        async with self.db.begin() as tx:
            await visit.conclude(tx, consult.id, by)
            await notes.save_draft(tx, consult.id, notes.NoteText("头晕", "血压150/90", "高血压", "继续服药"), by)
            await notes.sign(tx, self.sealer, consult.id, by)
            return await visit.close(tx, consult.id, by)

    async def consult(self, consult_id: str) -> Consult:
        async with self.db.read() as tx:
            return await tx.consults.get(consult_id)

    async def seat(self, seat: Seat) -> Seat:
        async with self.db.read() as tx:
            return await tx.seats.get(seat.id)

    async def records(self, consult: Consult) -> list[ConsentRecord]:
        async with self.db.read() as tx:
            return list(await desk.records_of(tx, consult.id))

    async def beside(self, consult: Consult) -> list[Companion]:
        async with self.db.read() as tx:
            return list(await tx.companions.find(consult_id=consult.id))

    async def opinion(self, consult: Consult, expert: Staff, dissent: bool = False) -> None:
        by, shared = Actor.staff(expert), {self.partner.id}
        async with self.db.begin() as tx:
            await opining.save_opinion(tx, consult.id, by, shared, "建议冠脉造影", dissent=dissent)
            await opining.sign_opinion(tx, self.sealer, consult.id, by, shared)

    async def decide(self, consult: Consult, adoption: Adoption = Adoption.ADOPT) -> None:
        by = Actor.staff(self.clinic_doctor)
        async with self.db.begin() as tx:
            await deciding.save_decision(tx, consult.id, by, adoption, "同意专家意见", "转上级医院造影")
            await deciding.sign_decision(tx, self.sealer, consult.id, by)

    async def recorded(
        self, consult: Consult, seats: tuple[Seat, ...], keyring: FakeKeyRing, blobs: FakeBlobs
    ) -> Recording:
        """A sealed recording of the consult, one segment per seat, as the recorder would leave it."""
        now = self.clock()
        recording_id, key_id = uuid4().hex, uuid4().hex
        await keyring.create(consult.institution_id, key_id)
        recording = Recording(
            recording_id, consult.institution_id, consult.id, RecordingState.SEALED, key_id, seats[0].id, now,
            started_at=now, stopped_at=now + timedelta(minutes=5), sealed_at=now + timedelta(minutes=5),
            stop_reason="ended", manifest_sha256="ab" * 32,
        )  # fmt: skip
        async with self.db.begin() as tx:
            await tx.recordings.add(recording)
            for seat in seats:
                key = f"{consult.institution_id}/{recording_id}/{seat.id}/av-0.hzs"
                blobs.objects[key] = b"cipher" + seat.id.encode()
                segment = Segment(
                    uuid4().hex, consult.institution_id, consult.id, recording_id, seat.id, Track.AV, 0,
                    'video/webm; codecs="vp8,opus"', now, 300_000, 38,
                    hashlib.sha256(blobs.objects[key]).hexdigest(), "cd" * 32, key,
                )  # fmt: skip
                await tx.segments.add(segment)
            await tx.append(
                AuditEvent(EventCode.RECORDING_SEALED, consult.institution_id, "system", consult.id, recording_id)
            )
        return recording


def institution(name: str, name_en: str, **changes: Any) -> registration.NewInstitution:
    values: dict[str, Any] = {
        "name": name,
        "short_name": name[:4],
        "name_en": name_en,
        "licence_number": "PDY10001",
        "licence_valid_to": date(2045, 12, 31),
        "departments": (CARDIOLOGY, "03.01"),
        "phone": "0571-88000000",
    }
    return registration.NewInstitution(**{**values, **changes})


def staff(institution_id: str, login: str, roles: tuple[Role, ...], **changes: Any) -> registration.NewStaff:
    """Doctors of every kind get a licence that outlives every test."""
    values: dict[str, Any] = {"name": f"王{login}", "name_en": f"Wang {login}", "title": "主任医师", "roles": roles}
    if set(roles) & {Role.ATTENDING, Role.INVITING, Role.EXPERT}:
        values |= {
            "department": CARDIOLOGY,
            "licence_number": "110000001",
            "licence_valid_to": date(2045, 12, 31),
            "practice_scope": (CARDIOLOGY,),
            "independent_since": date(2015, 7, 1),
            "verified_until": date(2045, 12, 31),
        }
    return registration.NewStaff(**{**values, "institution_id": institution_id, "login": login, **changes})


def patient(institution_id: str, **changes: Any) -> registration.NewPatient:
    values: dict[str, Any] = {
        "institution_id": institution_id,
        "name": "张建明",
        "name_en": "Zhang Jianming",
        "birth_date": date(1951, 5, 6),
        "gender": "M",
        "id_number": "110101195105060011",
        "phone": "13900000000",
        "identity_level": IdentityLevel.L3,
    }
    return registration.NewPatient(**{**values, **changes})


def evidence(visited: date, department: str = CARDIOLOGY) -> NewEvidence:
    return NewEvidence(department, visited.isoformat(), "县人民医院", "高血压", "MZ20260210001")


def signing(shown: desk.Presentation, name: str, operation_id: str | None = None, **answers: bool) -> Signing:
    """A complete signature under what was shown, yes to everything but `answers`."""
    decisions = {row.purpose: answers.get(row.purpose.value, True) for row in shown.text.questions}
    return Signing(
        operation_id or uuid4().hex,
        shown.template_id,
        shown.shown_digest,
        decisions,
        name,
        IMAGE,
        STROKES,
        again=shown.again,
    )
