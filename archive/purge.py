"""Destroying records, steps 3 to 6 (domain-rules 5.5): forward only, every step repeatable, so a crash only delays it.

3 intent committed -> 4 each recording's key destroyed -> 5 its objects deleted, the listing empty -> 6 rows of text
classes removed, certificate sealed. A hold placed before step 4 wins: the purge waits until it is lifted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from archive.access import rules_of
from archive.disposal import policy_of, require_same_list
from archive.errors import ApprovalsMissing, ClockJumped, Held, IllegalMove, PurgeIncomplete
from archive.holds import held
from archive.policy import CONSENT, EMR, PANEL_COPY, PROCESS_AV, PROCESS_TEXT
from archive.ports import ArchiveTransaction
from archive.records import Disposal, DisposalState, RetainedRecord, RetainedState
from archive.retention import Due, assessment
from audit.events import EventCode
from audit.leaf import payload_key_id
from audit.transaction import AuditEvent, Database, Repository
from clinic.documents import canonical, digest
from clinic.panels.outcome import OpinionPaper, SealedCopy
from clinic.people import CLINICIANS
from clinic.upload import EvidenceFile
from consent.transaction import Sealer
from imaging.records import ImageStudy
from recording.ports import Blobs, KeyRing
from recording.records import Recording

SYSTEM = "system"
SHREDDED = (PROCESS_AV, PANEL_COPY)  # gone with their key: what comes after step 4 comes too late


@dataclass(frozen=True, slots=True)
class Clockwork:
    """What the job knows of time: when it last ran, and whether the operator confirmed a leap since."""

    last_run: datetime | None = None
    confirmed: bool = False


async def purge(
    db: Database[ArchiveTransaction],
    keyring: KeyRing,
    blobs: Blobs,
    sealer: Sealer,
    disposal_id: str,
    *,
    clockwork: Clockwork | None = None,
) -> Disposal:
    """Carry an approved disposal out, or on; the finished disposal with its certificate. Call again after any failure.

    Raises ApprovalsMissing, ListChanged, NotDue, Held (also half way: nothing held is destroyed), ClockJumped,
    IllegalMove (refused), PurgeIncomplete (objects remain).
    """
    async with db.begin() as tx:
        disposal = await _intend(tx, disposal_id, clockwork or Clockwork())
    if disposal.state is DisposalState.DONE:
        return disposal
    async with db.read() as tx:
        encrypted = await _encrypted(tx, disposal)
    stopped = False
    for thing in encrypted:
        async with db.begin() as tx:
            stopped = not await _shred(tx, keyring, disposal_id, thing) or stopped
    if stopped:
        raise Held()
    for thing in encrypted:
        await _delete(blobs, thing)
    async with db.begin() as tx:
        return await _finish(tx, keyring, sealer, disposal_id)


async def unfinished(tx: ArchiveTransaction, institution_id: str) -> list[str]:
    """Disposals a crash or a hold left half way: `purge` them again."""
    found = await tx.disposals.find(institution_id=institution_id, state=DisposalState.PURGING)
    return [disposal.id for disposal in found]


async def _intend(tx: ArchiveTransaction, disposal_id: str, clockwork: Clockwork) -> Disposal:
    """Step 3: everything checked once more, then the point of no return."""
    disposal = await tx.disposals.get(disposal_id)
    if disposal.state is DisposalState.DONE:
        return disposal
    policy = await policy_of(tx, disposal.institution_id)
    rules = await rules_of(tx, disposal.institution_id)
    check_clock(tx.now, disposal, clockwork, rules.hours("AR-01", "clock_jump_hours"))
    if disposal.state is DisposalState.PURGING:
        return disposal
    if disposal.state is not DisposalState.PROPOSED:
        raise IllegalMove(f"the disposal is {disposal.state}")
    dues = await require_same_list(tx, disposal)
    needed = max(policy.policies[item.record.record_class].approvals for item in dues)
    if len({staff_id for staff_id, _ in disposal.approvals} - {disposal.proposed_by}) < needed:
        raise ApprovalsMissing()
    for consult_id, records in _by_consult(item.record for item in dues):
        for record in records:
            await tx.retained_records.save(record.move(RetainedState.PURGING, tx.now))
        await tx.append(_event(EventCode.PURGE_INTENT, disposal, consult_id, [record.id for record in records]))
    begun = replace(disposal, state=DisposalState.PURGING)
    await tx.disposals.save(begun)
    await tx.append(_event(EventCode.PURGE_INTENT, begun, None, []))
    return begun


def check_clock(now: datetime, disposal: Disposal, clockwork: Clockwork, leap: timedelta) -> None:
    """Raises ClockJumped: time before the approvals, before the last run, or too far after it unless confirmed."""
    signed = [datetime.fromisoformat(at) for _, at in disposal.approvals]
    if now < max((disposal.proposed_at, *signed)):
        raise ClockJumped("before the approvals")
    if clockwork.last_run is None:
        return
    if now < clockwork.last_run:
        raise ClockJumped("before the last run")
    if now - clockwork.last_run > leap and not clockwork.confirmed:
        raise ClockJumped("too far after the last run")


async def _recordings(tx: ArchiveTransaction, disposal: Disposal) -> list[Recording]:
    records = [await tx.retained_records.get(record_id) for record_id in disposal.record_ids]
    return [await tx.recordings.get(row.subject_id) for row in records if row.record_class == PROCESS_AV]


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A recording, an uploaded paper, a panel's paper or copy: one key, objects known by name or under a prefix."""

    institution_id: str
    consult_id: str
    id: str
    key_id: str
    prefix: str
    blob_keys: tuple[str, ...]


async def _encrypted(tx: ArchiveTransaction, disposal: Disposal) -> list[Encrypted]:
    found = []
    for recording in await _recordings(tx, disposal):
        segments = await tx.segments.find(recording_id=recording.id)
        prefix = f"{recording.institution_id}/{recording.id}/"
        keys = tuple(segment.blob_key for segment in segments)
        found.append(
            Encrypted(recording.institution_id, recording.consult_id, recording.id, recording.key_id, prefix, keys)
        )
    for file in await _papers(tx, disposal):
        folder = f"{file.blob_key.rpartition('/')[0]}/"
        found.append(Encrypted(file.institution_id, file.consult_id, file.id, file.key_id, folder, (file.blob_key,)))
    for thing in await _panel_things(tx, disposal):
        folder = f"{thing.blob_key.rpartition('/')[0]}/"
        found.append(
            Encrypted(thing.institution_id, thing.consult_id, thing.id, thing.key_id, folder, (thing.blob_key,))
        )
    for study in await _studies(tx, disposal):
        keys = tuple(row.blob_key for row in await tx.image_instances.find(consult_id=study.consult_id))
        own = tuple(key for key in keys if f"/{study.id}/" in key)
        folder = f"{own[0].rpartition('/')[0]}/"
        found.append(Encrypted(study.institution_id, study.consult_id, study.id, study.key_id, folder, own))
    return found


async def _studies(tx: ArchiveTransaction, disposal: Disposal) -> list[ImageStudy]:
    """Images go with the visit record they belong to."""
    records = [await tx.retained_records.get(record_id) for record_id in disposal.record_ids]
    consults = [row.consult_id for row in records if row.record_class == EMR]
    return [study for consult_id in consults for study in await tx.image_studies.find(consult_id=consult_id)]


async def _panel_things(tx: ArchiveTransaction, disposal: Disposal) -> list[OpinionPaper | SealedCopy]:
    """The filed paper goes with the visit record; a copy is a record of its own, and takes no other's with it."""
    found: list[OpinionPaper | SealedCopy] = []
    for record_id in disposal.record_ids:
        record = await tx.retained_records.get(record_id)
        if record.record_class == PANEL_COPY:
            found.append(await tx.sealed_copies.get(record.subject_id))
        elif record.record_class == EMR:
            found += await tx.opinion_papers.find(consult_id=record.consult_id)
    return found


async def _papers(tx: ArchiveTransaction, disposal: Disposal) -> list[EvidenceFile]:
    """Uploaded papers go with the visit record they belong to."""
    records = [await tx.retained_records.get(record_id) for record_id in disposal.record_ids]
    consults = [row.consult_id for row in records if row.record_class == EMR]
    return [file for consult_id in consults for file in await tx.evidence_files.find(consult_id=consult_id)]


async def _shred(tx: ArchiveTransaction, keyring: KeyRing, disposal_id: str, thing: Encrypted) -> bool:
    """Step 4 for one recording or paper, inside the write lock a hold needs too; False when a hold was there first."""
    disposal = await tx.disposals.get(disposal_id)
    if any(key_id == thing.key_id for key_id, _ in disposal.tombstones):
        return True
    if await held(tx, thing.consult_id, thing.institution_id):
        return False
    tombstone = await keyring.destroy(thing.institution_id, thing.key_id)
    await tx.disposals.save(replace(disposal, tombstones=(*disposal.tombstones, (thing.key_id, tombstone))))
    await tx.append(
        AuditEvent(
            EventCode.KEY_DESTROYED,
            thing.institution_id,
            SYSTEM,
            thing.consult_id,
            thing.id,
            public={"key": thing.key_id, "tombstone": tombstone, "disposal": disposal_id},
        )
    )
    return True


async def _delete(blobs: Blobs, thing: Encrypted) -> None:
    """Step 5: every object the rows name and every object listed under the prefix; then the listing is empty."""
    for key in sorted({*thing.blob_keys, *await blobs.list(thing.prefix)}):
        await blobs.delete(key)
    if left := await blobs.list(thing.prefix):
        raise PurgeIncomplete(f"{len(left)} objects of {thing.id}")


async def _finish(tx: ArchiveTransaction, keyring: KeyRing, sealer: Sealer, disposal_id: str) -> Disposal:
    """Step 6: rows gone, records disposed, one certificate."""
    disposal = await tx.disposals.get(disposal_id)
    if disposal.state is DisposalState.DONE:
        return disposal
    dues = [item for item in await assessment(tx, disposal.institution_id) if item.record.id in disposal.record_ids]
    for item in dues:
        record = item.record
        if record.record_class not in SHREDDED and await held(tx, record.consult_id, record.institution_id):
            raise Held(item.record.id)
    disposal = await _forget(tx, keyring, disposal)
    document = await _certificate(tx, disposal, dues)
    counts: dict[str, int] = {}
    for consult_id, records in _by_consult(item.record for item in dues):
        for record in records:
            for table, number in (await _erase(tx, record)).items():
                counts[table] = counts.get(table, 0) + number
            await tx.retained_records.save(record.move(RetainedState.DISPOSED, tx.now))
        await tx.append(_event(EventCode.DISPOSED, disposal, consult_id, [record.id for record in records]))
    document["counts"]["rows_removed"] = counts
    data = canonical(document)
    done = replace(
        disposal,
        state=DisposalState.DONE,
        certificate=data.decode(),
        certificate_seal=sealer.seal(disposal.institution_id, digest(data), int(tx.now.timestamp())),
        done_at=tx.now,
    )
    await tx.disposals.save(done)
    event = _event(EventCode.DISPOSED, done, None, [])
    await tx.append(replace(event, public={**event.public, "certificate": digest(data)}))
    return done


async def _forget(tx: ArchiveTransaction, keyring: KeyRing, disposal: Disposal) -> Disposal:
    """Destroy the key of the trail's private parts for consults of which nothing is left after this."""
    records = [await tx.retained_records.get(record_id) for record_id in disposal.record_ids]
    for consult_id in sorted({record.consult_id for record in records}):
        rest = await tx.retained_records.find(consult_id=consult_id, institution_id=disposal.institution_id)
        if any(row.id not in disposal.record_ids and row.state is not RetainedState.DISPOSED for row in rest):
            continue
        key_id = payload_key_id(consult_id)
        tombstone = await keyring.destroy(disposal.institution_id, key_id)
        disposal = replace(disposal, tombstones=(*disposal.tombstones, (key_id, tombstone)))
    return disposal


async def _certificate(tx: ArchiveTransaction, disposal: Disposal, dues: Sequence[Due]) -> dict[str, Any]:
    policy = await policy_of(tx, disposal.institution_id)
    rules = await rules_of(tx, disposal.institution_id)
    papers, studies = await _papers(tx, disposal), await _studies(tx, disposal)
    panel = await _panel_things(tx, disposal)
    media = []
    segments_total = bytes_total = 0
    for recording in await _recordings(tx, disposal):
        segments = await tx.segments.find(recording_id=recording.id)
        segments_total += len(segments)
        bytes_total += sum(segment.size for segment in segments)
        media.append(
            {
                "recording": recording.id,
                "key": recording.key_id,
                "manifest_sha256": recording.manifest_sha256,
                "segments": len(segments),
                "segments_sha256": digest(canonical({"sha256": sorted(segment.sha256 for segment in segments)})),
            }
        )
    return {
        "type": "huizhen.disposal-certificate",
        "v": 1,
        "id": disposal.id,
        "institution": disposal.institution_id,
        "reason": disposal.reason,
        "list_sha256": disposal.list_sha256,
        "records": [_certified(item, policy.policies[item.record.record_class].method) for item in dues],
        "proposed": {"by": disposal.proposed_by, "at": disposal.proposed_at},
        "approved": [{"by": staff_id, "at": at} for staff_id, at in disposal.approvals],
        "policy_in_force": policy.version,
        "media": media,
        "papers": [{"file": file.id, "key": file.key_id, "sha256": file.blob_sha256} for file in papers],
        "panel": [{"id": thing.id, "key": thing.key_id, "sha256": thing.blob_sha256} for thing in panel],
        "images": [{"study": study.id, "key": study.key_id} for study in studies],
        "tombstones": [{"key": key_id, "sha256": tombstone} for key_id, tombstone in disposal.tombstones],
        "counts": {"records": len(dues), "segments": segments_total, "bytes": bytes_total},
        "destroyed_at": tx.now,
        "effective_at": tx.now + rules.days("AR-01", "key_backup_days"),
    }


def _certified(item: Due, method: str) -> dict[str, Any]:
    record = item.record
    return {
        "id": record.id,
        "class": record.record_class,
        "subject": record.subject_id,
        "consult": record.consult_id,
        "policy": record.policy_version,
        "trigger_at": record.trigger_at,
        "due_on": item.due_on,
        "why": [f"{ground.code}:{ground.since}+{ground.years}y" for ground in item.why],
        "basis": [citation.zh for citation in item.citations],
        "method": method,
    }


# Rows that go with a class. Those of recordings and copies stay: digests without content are evidence.
_ROWS: Mapping[str, tuple[str, ...]] = {
    PROCESS_AV: (),
    PANEL_COPY: (),
    PROCESS_TEXT: ("chat_messages", "whereabouts", "waiting_messages"),
    CONSENT: (
        "consent_records",
        "consent_attestations",  # a certificate names the signer
        "companions",
        "language_notes",
        "consent_requests",  # why it was asked is free text
    ),
    EMR: (
        "visit_notes",
        "follow_up_evidence",
        "attestations",
        "evidence_files",
        "image_findings",
        "series_openings",
        "pacs_studies",
        "image_instances",
        "image_series",
        "image_studies",
        "cases",
        "panel_proposals",
        "invited_parties",  # why an institution refused is free text
        "panel_requests",
        "written_consults",  # why it was asked is free text
        "opinions",
        "decision_notes",
        "joint_reports",
        "report_marks",
        "countersignatures",
        "paper_attestations",  # a certificate names the signer
        "opinions_due",
        "house_releases",
        "referrals",
        "follow_up_tasks",
        "triage_notes",
        "termination_advices",
    ),
}


async def _erase(tx: ArchiveTransaction, record: RetainedRecord) -> Mapping[str, int]:
    """Remove the rows of a text class; how many of each table."""
    removed: dict[str, int] = {}
    for name in _ROWS[record.record_class]:
        repository: Repository[Any] = getattr(tx, name)
        for row in await repository.find(consult_id=record.consult_id):
            await repository.remove(row.id)
            removed[name] = removed.get(name, 0) + 1
    if record.record_class == EMR:
        await _blank(tx, record.consult_id)
    return removed


async def _blank(tx: ArchiveTransaction, consult_id: str) -> None:
    """The consult's skeleton stays for the trail, without the visit reason and without names of patient and guests."""
    consult = await tx.consults.get(consult_id)
    await tx.consults.save(replace(consult, reason=""))
    for seat in await tx.seats.find(consult_id=consult_id):
        if seat.role not in CLINICIANS:
            await tx.seats.save(replace(seat, display_name="", relation=None))


def _by_consult(records: Iterable[RetainedRecord]) -> list[tuple[str, list[RetainedRecord]]]:
    ordered = sorted(records, key=lambda record: (record.consult_id, record.id))
    return [(consult_id, list(group)) for consult_id, group in groupby(ordered, key=lambda row: row.consult_id)]


def _event(code: EventCode, disposal: Disposal, consult_id: str | None, record_ids: list[str]) -> AuditEvent:
    public = {"disposal": disposal.id, "list": disposal.list_sha256, "records": record_ids}
    return AuditEvent(code, disposal.institution_id, SYSTEM, consult_id, disposal.id, public=public)
