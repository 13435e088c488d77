"""A consult that ended years ago, told through the same use cases as a real one, so that the archive has something due.

It runs before the server starts, on a database whose clock stands in the past: the trail's times and the retention
dates are those of that day. Its recording is written by the product's own writer from the frames in `demo_media`.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from archive import intake
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import attesting, booking, notes, visit
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import Consult, ConsultKind
from clinic.people import Patient, Staff
from consent import desk
from consent.gate import RecordingPolicy
from consent.records import Purpose
from consent.signing import Signing
from huizhen.demo_data import CARDIOLOGY, signature_png
from huizhen.demo_media import Clip, clip
from huizhen.recording_rules import gate_of, stamp_of
from huizhen.store.blobs import LocalBlobs
from huizhen.store.database import SqlDatabase
from recording.containers import Lane, Layout
from recording.depacketise import VideoShape
from recording.intake import TimedFrame
from recording.ledger import Ledger, Present
from recording.records import Recording
from recording.sealed_file import SegmentHeader
from recording.segment_file import SegmentFile, SegmentReport
from recording.shelf import segment_of

LASTED_SECONDS = 24
_SEGMENT_SECONDS = 12
_SHAPE = VideoShape("vp8", 320, 240, "vp8")
_LAYOUT = Layout(audio=True, video=_SHAPE)
_STROKES = tuple(tuple((10 + 9 * i, 30 + (7 * i + k) % 20, 40 * i) for i in range(6)) for k in (0, 9))


class PastClock:
    """A clock that starts on a day of the past and is moved by hand."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        return self._now


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the consult of the past takes place. `advance(seconds)` moves the database's clock."""

    db: SqlDatabase
    blobs: LocalBlobs
    spool: Path
    advance: Callable[[float], datetime]


async def play(stage: Stage, doctor: Staff, patient: Patient) -> Recording:
    """The whole visit: booked, agreed to, recorded, noted, closed, archived. Returns its sealed recording."""
    booked = await _book(stage, doctor, patient)
    consult_id, me = booked.consult.id, Actor.staff(doctor)
    await _agree(stage, booked, patient)
    stage.advance(60)
    async with stage.db.begin() as tx:
        await attesting.authenticated(tx, doctor, "login")
        await tx.append(AuditEvent(EventCode.AUTH_LOGIN, doctor.institution_id, doctor.id, subject_id=doctor.id))
        await visit.enter(tx, booked.doctor_seat.id)
        await desk.notice(tx, stage.db.sealer, booked.doctor_seat.id)
        await visit.enter(tx, booked.patient_seat.id)
    stage.advance(45)
    async with stage.db.begin() as tx:
        await visit.admit(tx, consult_id, booked.patient_seat.id, me)
    stage.advance(5)
    recording = await film(stage, booked.consult, {booked.doctor_seat.id: "doctor", booked.patient_seat.id: "patient"})
    stage.advance(10)
    async with stage.db.begin() as tx:
        await visit.conclude(tx, consult_id, me)
        note = notes.NoteText(
            "血压控制平稳,无不适", "家测血压 128/78 mmHg", "原发性高血压 2 级", "继续原方案,三个月后复诊"
        )
        await notes.save_draft(tx, consult_id, note, me)
        await notes.sign(tx, stage.db.sealer, consult_id, me)
    stage.advance(120)
    async with stage.db.begin() as tx:
        await visit.close(tx, consult_id, me)
        await intake.on_recording_sealed(tx, recording.id)
        await intake.on_consult_over(tx, consult_id)
    return recording


async def _book(stage: Stage, doctor: Staff, patient: Patient) -> Booked:
    async with stage.db.begin() as tx:
        visited = (tx.now - timedelta(days=30)).date().isoformat()
        proof = booking.NewEvidence(CARDIOLOGY, visited, "云州市第一人民医院", "原发性高血压 2 级", "MZ0000001")
        new = booking.NewConsult(
            kind=ConsultKind.FOLLOW_UP,
            department=CARDIOLOGY,
            doctor_id=doctor.id,
            patient_id=patient.id,
            reason="高血压复诊",
            fee_cents=3_000,
            starts_at=tx.now - timedelta(minutes=5),
            ends_at=tx.now + timedelta(minutes=25),
            evidence=(proof,),
        )
        booked = await booking.book(tx, new, Actor.staff(doctor))
        kept = (await tx.follow_up_evidence.find(consult_id=booked.consult.id))[0]
        await attesting.attest(tx, stage.db.sealer, booked.consult.id, kept.id, kept.diagnosis, Actor.staff(doctor))
        return booked


async def _agree(stage: Stage, booked: Booked, patient: Patient) -> None:
    async with stage.db.begin() as tx:
        shown = await desk.present(tx, booked.patient_seat.id, "zh")
        stage.advance(90)
        signing = Signing(
            operation_id=uuid4().hex,
            template_id=shown.template_id,
            shown_digest=shown.shown_digest,
            decisions={Purpose.TREAT: True, Purpose.REC_AV: True},
            typed_name=patient.name,
            signature_image=signature_png(),
            strokes=_STROKES,
        )
        await desk.sign(tx, stage.db.sealer, booked.patient_seat.id, signing)


async def film(stage: Stage, consult: Consult, cast: Mapping[str, str]) -> Recording:
    """A sealed recording of `LASTED_SECONDS`: each seat plays its clip round and round, in two segments."""
    ledger = Ledger(stage.db, gate_of(lambda _consult: RecordingPolicy()))
    recording_id = key_id = uuid4().hex
    key = await stage.db.keys.create(consult.institution_id, key_id)
    recording, _ = await ledger.request(consult.id, recording_id, key_id, next(iter(cast)), Present(tuple(cast), {}))
    folder = stage.spool / recording_id
    folder.mkdir(parents=True, mode=0o700)
    await ledger.active(recording_id)
    started = stage.advance(0)
    for number in range(LASTED_SECONDS // _SEGMENT_SECONDS):
        at = started + timedelta(seconds=number * _SEGMENT_SECONDS)
        stage.advance(_SEGMENT_SECONDS)
        for seat_id, name in cast.items():
            header = SegmentHeader.fresh(
                recording_id, seat_id, "av", number, started_ms=int(at.timestamp() * 1000), mime=_LAYOUT.mime
            )
            report = write_segment(folder, header, key, clip(name))
            segment = segment_of(recording, report)
            await stage.blobs.put(segment.blob_key, folder / report.file)
            await ledger.segment(segment)
    await ledger.finalize(recording_id, "ended")
    shutil.rmtree(folder)
    return await ledger.seal(recording_id, stamp_of)


def write_segment(folder: Path, header: SegmentHeader, key: bytes, played: Clip) -> SegmentReport:
    """One encrypted file of `_SEGMENT_SECONDS`, flushed every half second like a live one."""
    origin = header.started_ms * 1000
    file = SegmentFile(folder, header, _LAYOUT, origin, key)
    rounds = _SEGMENT_SECONDS * 1_000_000 // played.length_us
    flushed = origin
    for turn in range(rounds):
        for frame in played.frames:
            time_us = origin + turn * played.length_us + frame.time_us
            shape = _SHAPE if frame.lane == "video" else None
            file.add(
                TimedFrame(Lane(frame.lane), time_us, frame.duration_us, frame.data, frame.key, time_us / 1e6, shape)
            )
            if time_us - flushed >= 500_000:
                file.flush()
                flushed = time_us
    return file.close()
