"""Records come under the archive's care: class, policy version and trigger stamped when consult or recording ends."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from archive.errors import IllegalMove
from archive.policy import CONSENT, EMR, PANEL_COPY, PROCESS_AV, PROCESS_TEXT, stamp
from archive.ports import ArchiveTransaction
from archive.records import RetainedRecord, RetainedState
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.calendar import local_date
from clinic.consult import Consult
from clinic.panels.outcome import SealedCopy
from consent.records import Purpose
from consent.standing import Standing, patient_seats, standing
from recording.records import RecordingState


async def on_recording_sealed(tx: ArchiveTransaction, recording_id: str) -> RetainedRecord | None:
    """Take a sealed recording in; None when nothing was recorded. Idempotent. Raises IllegalMove while it runs.

    Until the consult closes the clock has not begun: the trigger is provisional and `consult.open` blocks disposal.
    """
    recording = await tx.recordings.get(recording_id)
    if not recording.over:
        raise IllegalMove("the recording is not sealed")
    known = await tx.retained_records.find(subject_id=recording_id, record_class=PROCESS_AV)
    if known or recording.state is not RecordingState.SEALED:
        return known[0] if known else None
    consult = await tx.consults.get(recording.consult_id)
    trigger = consult.closed_at or recording.sealed_at or tx.now
    record = await _keep(tx, consult, PROCESS_AV, recording_id, trigger)
    if recording.policy_version is not None:
        record = replace(record, policy_version=recording.policy_version)
    if await _patient_withdrew(tx, consult):
        record = record.move(RetainedState.RESTRICTED, tx.now)
    await tx.retained_records.add(record)
    await tx.append(_stamped(consult, record, "system"))
    return record


async def on_consult_over(tx: ArchiveTransaction, consult_id: str) -> tuple[RetainedRecord, ...]:
    """Take in what a consult leaves: visit record, chat, consents; its recordings' clocks begin. Idempotent."""
    consult = await tx.consults.get(consult_id)
    if not consult.over or consult.closed_at is None:
        raise IllegalMove("the consult is not over")
    known = await tx.retained_records.find(consult_id=consult_id, institution_id=consult.institution_id)
    taken: list[RetainedRecord] = []
    for record_class in await _classes(tx, consult):
        if not any(record.record_class == record_class for record in known):
            record = await _keep(tx, consult, record_class, consult_id, consult.closed_at)
            await tx.retained_records.add(record)
            await tx.append(_stamped(consult, record, "system"))
            taken.append(record)
    for record in known:
        if record.record_class == PROCESS_AV and record.trigger_at != consult.closed_at:
            begun = replace(record, trigger_at=consult.closed_at)
            await tx.retained_records.save(begun)
            await tx.append(_stamped(consult, begun, "system"))
    return tuple(taken)


async def on_copy_sealed(tx: ArchiveTransaction, copy: SealedCopy) -> RetainedRecord:
    """An institution's copy of an expert consult begins a clock of its own, in that institution. Idempotent."""
    known = await tx.retained_records.find(subject_id=copy.id, record_class=PANEL_COPY)
    if known:
        return known[0]
    holder, consult = await tx.institutions.get(copy.institution_id), await tx.consults.get(copy.consult_id)
    mark = stamp(PANEL_COPY, local_date(tx.now, holder.time_zone))
    record = RetainedRecord(
        id=uuid4().hex,
        institution_id=copy.institution_id,
        consult_id=copy.consult_id,
        patient_id=copy.patient_id,
        record_class=mark.record_class,
        subject_id=copy.id,
        policy_version=mark.policy_version,
        trigger_at=consult.closed_at or copy.ordered_at,
        state=RetainedState.ACTIVE,
        created_at=tx.now,
    )
    await tx.retained_records.add(record)
    await tx.append(_stamped(consult, record, "system"))
    return record


async def restrict(tx: ArchiveTransaction, consult_id: str, actor_id: str) -> tuple[RetainedRecord, ...]:
    """The patient withdrew REC_AV: sealed recordings are only stored from now on (PIPL art. 47). Idempotent."""
    records: Sequence[RetainedRecord] = await tx.retained_records.find(consult_id=consult_id, record_class=PROCESS_AV)
    changed = []
    for record in records:
        if record.state is RetainedState.ACTIVE:
            restricted = record.move(RetainedState.RESTRICTED, tx.now)
        elif record.state is RetainedState.PROPOSED and not record.restricted:
            restricted = replace(record, restricted=True)
        else:
            continue
        await tx.retained_records.save(restricted)
        await tx.append(
            AuditEvent(EventCode.RECORD_RESTRICTED, record.institution_id, actor_id, consult_id, record.subject_id)
        )
        changed.append(restricted)
    return tuple(changed)


async def _keep(
    tx: ArchiveTransaction, consult: Consult, record_class: str, subject_id: str, trigger_at: datetime
) -> RetainedRecord:
    institution = await tx.institutions.get(consult.institution_id)
    mark = stamp(record_class, local_date(tx.now, institution.time_zone))
    return RetainedRecord(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        patient_id=consult.patient_id,
        record_class=mark.record_class,
        subject_id=subject_id,
        policy_version=mark.policy_version,
        trigger_at=trigger_at,
        state=RetainedState.ACTIVE,
        created_at=tx.now,
    )


async def _classes(tx: ArchiveTransaction, consult: Consult) -> list[str]:
    """What there is to keep of this consult beside its recordings."""
    classes = []
    if (
        consult.opened_at is not None
        or await tx.follow_up_evidence.find(consult_id=consult.id)
        or await tx.evidence_files.find(consult_id=consult.id)
        or await tx.triage_notes.find(consult_id=consult.id)
        or await tx.image_studies.find(consult_id=consult.id)
        or await tx.pacs_studies.find(consult_id=consult.id)
    ):
        classes.append(EMR)
    texts = (tx.chat_messages, tx.whereabouts, tx.waiting_messages)
    if any([await table.find(consult_id=consult.id) for table in texts]):
        classes.append(PROCESS_TEXT)
    signed = await tx.consent_records.find(consult_id=consult.id)
    if signed or await tx.companions.find(consult_id=consult.id):
        classes.append(CONSENT)
    return classes


async def _patient_withdrew(tx: ArchiveTransaction, consult: Consult) -> bool:
    records = await tx.consent_records.find(consult_id=consult.id)
    return any(standing(records, seat_id, Purpose.REC_AV) is Standing.WITHDRAWN for seat_id in patient_seats(records))


def _stamped(consult: Consult, record: RetainedRecord, actor_id: str) -> AuditEvent:
    public = {
        "class": record.record_class,
        "policy": record.policy_version,
        "trigger": record.trigger_at.isoformat(),
        "restricted": record.restricted,
    }
    return AuditEvent(
        EventCode.RETENTION_STAMPED, record.institution_id, actor_id, consult.id, record.id, public=public
    )
