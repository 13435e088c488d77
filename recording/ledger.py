"""What the recorder commits: each method is one transaction of rows and the events that vouch for them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent, Database
from clinic.consult import Consult, Seat
from consent.errors import RecordingNotPermitted
from consent.grant import RecordingGrant
from consent.records import ConsentAction, ConsentRecord, Purpose
from recording.manifest import manifest_sha256
from recording.ports import Gate, RecordingTransaction, RetentionStamp
from recording.records import Gap, GapCause, Recording, RecordingState, Segment

SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Present:
    """Who is in the room as the recorder must see it.

    `withdrawn`: seat -> when they withdrew. They are not recorded until a newer signature, whether or not the
    withdrawal itself is committed yet. `barred`: reasons nothing may be written at all, ahead of their own commit.
    `aside`: seat -> since when they are in the experts' side-room, of which no grant covers anything (HZ-34).
    """

    seats: Sequence[str]
    withdrawn: Mapping[str, datetime]
    barred: tuple[str, ...] = ()
    aside: Mapping[str, datetime] = field(default_factory=dict)


class Ledger:
    def __init__(self, db: Database[RecordingTransaction], gate: Gate) -> None:
        self._db = db
        self._gate = gate

    async def request(
        self, consult_id: str, recording_id: str, key_id: str, by_seat: str, present: Present
    ) -> tuple[Recording, RecordingGrant]:
        """REQUESTED, with its first grant. Raises RecordingNotPermitted."""
        async with self._db.begin() as tx:
            consult = await tx.consults.get(consult_id)
            grant = await self._judge(tx, consult, recording_id, present)
            recording = Recording(
                recording_id, consult.institution_id, consult_id, RecordingState.REQUESTED, key_id, by_seat, tx.now
            )
            await tx.recordings.add(recording)
            await _leave_out(tx, recording, present)
            await tx.append(_event(EventCode.KEY_CREATED, recording, SYSTEM, {}, subject=key_id))
            await tx.append(_granted(recording, grant))
            await tx.append(_event(EventCode.RECORDING_STARTED, recording, by_seat, {"phase": "requested"}))
        return recording, grant

    async def renew(self, recording_id: str, present: Present) -> tuple[Recording, RecordingGrant]:
        """A fresh grant; a paused recording is requested again. Raises RecordingNotPermitted."""
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            consult = await tx.consults.get(recording.consult_id)
            grant = await self._judge(tx, consult, recording_id, present)
            if recording.state is RecordingState.PAUSED:
                recording = recording.move(RecordingState.REQUESTED, tx.now)
                await tx.recordings.save(recording)
                await tx.append(_event(EventCode.RECORDING_RESUMED, recording, SYSTEM, {"phase": "requested"}))
            await _end_gaps(tx, recording, tx.now, of=grant.recorded)
            await _leave_out(tx, recording, present)
            await tx.append(_granted(recording, grant))
        return recording, grant

    async def judge(self, consult_id: str, recording_id: str, present: Present) -> Consult:
        """Whether a recording could start now. Raises RecordingNotPermitted; writes nothing."""
        async with self._db.read() as tx:
            consult = await tx.consults.get(consult_id)
            await self._judge(tx, consult, recording_id, present)
        return consult

    async def drop(self, recording_id: str, seat_id: str) -> Recording:
        """One person withdrew and stays unrecorded: a hole of theirs."""
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            if recording.over:
                return recording
            await _open_gap(tx, recording, GapCause.WITHDRAWN, tx.now, seat_id=seat_id)
            event = _event(
                EventCode.RECORDING_GRANT_REVOKED, recording, SYSTEM, {"reason": "withdrawn"}, subject=seat_id
            )
            await tx.append(event)
        return recording

    async def unfinished(self) -> list[tuple[Recording, Consult, list[Segment]]]:
        """Recordings that are not over, with what is known of them."""
        found: list[tuple[Recording, Consult, list[Segment]]] = []
        async with self._db.read() as tx:
            for state in RecordingState:
                for recording in await tx.recordings.find(state=state):
                    if not recording.over:
                        consult = await tx.consults.get(recording.consult_id)
                        found.append((recording, consult, list(await tx.segments.find(recording_id=recording.id))))
        return found

    async def active(self, recording_id: str) -> Recording:
        """The first fragment is on disk; holes that everybody had end here."""
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            first = recording.started_at is None
            if recording.state is not RecordingState.ACTIVE:
                recording = recording.move(RecordingState.ACTIVE, tx.now)
                await tx.recordings.save(recording)
            await _end_gaps(tx, recording, tx.now, of=frozenset({None}))
            code = EventCode.RECORDING_STARTED if first else EventCode.RECORDING_RESUMED
            await tx.append(_event(code, recording, SYSTEM, {"phase": "on_disk"}))
        return recording

    async def pause(self, recording_id: str, cause: GapCause, reason: str, since: datetime | None = None) -> Recording:
        """PAUSED with an open gap (from `since`, or now). Pausing what is paused changes nothing."""
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            if recording.state is RecordingState.PAUSED or recording.over:
                return recording
            recording = recording.move(RecordingState.PAUSED, tx.now)
            await tx.recordings.save(recording)
            await _open_gap(tx, recording, cause, since or tx.now)
            await tx.append(_event(EventCode.RECORDING_GRANT_REVOKED, recording, SYSTEM, {"reason": reason}))
            await tx.append(_event(EventCode.RECORDING_PAUSED, recording, SYSTEM, {"reason": reason}))
        return recording

    async def gap(self, recording_id: str, cause: GapCause, since: datetime, until: datetime | None) -> None:
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            await _open_gap(tx, recording, cause, since, until=until)
            await tx.append(_event(EventCode.RECORDING_GAP, recording, SYSTEM, {"cause": str(cause)}))

    async def end_gap(self, recording_id: str, cause: GapCause) -> None:
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            if await _end_gaps(tx, recording, tx.now, cause=cause):
                await tx.append(
                    _event(EventCode.RECORDING_GAP, recording, SYSTEM, {"cause": str(cause), "ended": True})
                )

    async def finalize(self, recording_id: str, reason: str) -> Recording:
        """FINALIZING: nothing more is written. Repeating it changes nothing."""
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            if recording.state is RecordingState.FINALIZING or recording.over:
                return recording
            recording = recording.move(RecordingState.FINALIZING, tx.now, reason)
            await tx.recordings.save(recording)
            await _end_gaps(tx, recording, tx.now)
            await tx.append(_event(EventCode.RECORDING_STOPPED, recording, SYSTEM, {"reason": reason}))
        return recording

    async def segment(self, segment: Segment) -> None:
        """Repeating it changes nothing."""
        async with self._db.begin() as tx:
            known = await tx.segments.find(
                recording_id=segment.recording_id, seat_id=segment.seat_id, track=segment.track, number=segment.number
            )
            if known:
                return
            recording = await tx.recordings.get(segment.recording_id)
            await tx.segments.add(segment)
            facts: dict[str, Any] = {
                "track": str(segment.track),
                "number": segment.number,
                "sha256": segment.sha256,
                "recovered": segment.recovered,
            }
            await tx.append(_event(EventCode.SEGMENT_SEALED, recording, SYSTEM, facts, subject=segment.seat_id))

    async def seal(self, recording_id: str, stamp: Callable[[Consult], RetentionStamp]) -> Recording:
        """SEALED with manifest digest and retention stamp; FAILED when nothing was ever written."""
        async with self._db.begin() as tx:
            recording = await tx.recordings.get(recording_id)
            if recording.over:
                return recording
            segments = await tx.segments.find(recording_id=recording_id)
            gaps = await tx.gaps.find(recording_id=recording_id)
            to = RecordingState.SEALED if segments else RecordingState.FAILED
            recording = recording.move(to, tx.now)
            digest = manifest_sha256(recording_id, segments, gaps)
            if segments:
                kept = stamp(await tx.consults.get(recording.consult_id))
                recording = replace(
                    recording,
                    retention_class=kept.record_class,
                    policy_version=kept.policy_version,
                    manifest_sha256=digest,
                )
            await tx.recordings.save(recording)
            code = EventCode.RECORDING_SEALED if segments else EventCode.RECORDING_FAILED
            facts = {"manifest": digest, "segments": len(segments), "gaps": len(gaps)}
            await tx.append(_event(code, recording, SYSTEM, facts))
        return recording

    async def _judge(
        self, tx: RecordingTransaction, consult: Consult, recording_id: str, present: Present
    ) -> RecordingGrant:
        if present.barred:
            raise RecordingNotPermitted(present.barred)
        seats = {seat.id: seat for seat in await tx.seats.find(consult_id=consult.id)}
        records = await tx.consent_records.find(consult_id=consult.id)
        strangers = tuple(sorted(set(present.seats) - set(seats)))
        if strangers:
            raise RecordingNotPermitted(("rec.unknown_person",), strangers)
        refusing = tuple(
            seat for seat in sorted(set(present.seats))
            if seat in present.withdrawn and not _signed_since(records, seat, present.withdrawn[seat])
        )  # fmt: skip
        here: list[Seat] = [seats[seat] for seat in sorted(set(present.seats))]
        beside = await tx.companions.find(consult_id=consult.id)
        grant = self._gate(consult, recording_id, here, records, now=tx.now, beside=beside)
        return replace(grant, recorded=grant.recorded - frozenset(refusing) - present.aside.keys())


def _signed_since(records: Sequence[ConsentRecord], seat_id: str, moment: datetime) -> bool:
    return any(
        r.seat_id == seat_id
        and r.action is ConsentAction.SIGNED
        and Purpose.REC_AV in r.permitted
        and r.recorded_at > moment
        for r in records
    )


async def _open_gap(
    tx: RecordingTransaction,
    recording: Recording,
    cause: GapCause,
    since: datetime,
    *,
    seat_id: str | None = None,
    until: datetime | None = None,
) -> None:
    """A second open hole of the same extent would say nothing new."""
    if until is None and await tx.gaps.find(recording_id=recording.id, seat_id=seat_id, ended_at=None):
        return
    gap = Gap(uuid4().hex, recording.institution_id, recording.consult_id, recording.id, seat_id, cause, since, until)
    await tx.gaps.add(gap)


async def _leave_out(tx: RecordingTransaction, recording: Recording, present: Present) -> None:
    """Each person in the side-room is a hole in their own track, with its cause; the caller's event covers the rows."""
    for gap in await tx.gaps.find(recording_id=recording.id, cause=GapCause.SIDE_ROOM, ended_at=None):
        if gap.seat_id not in present.aside:  # back, or out of the room altogether
            await tx.gaps.save(replace(gap, ended_at=max(tx.now, gap.started_at)))
    for seat_id in sorted(present.aside.keys() & set(present.seats)):
        since = max(present.aside[seat_id], recording.started_at or recording.requested_at)
        await _open_gap(tx, recording, GapCause.SIDE_ROOM, since, seat_id=seat_id)


async def _end_gaps(
    tx: RecordingTransaction,
    recording: Recording,
    at: datetime,
    *,
    of: Collection[str | None] | None = None,
    cause: GapCause | None = None,
) -> int:
    """Open holes of these seats (None = everybody's; left out = all) and this cause end now; how many did."""
    ended = 0
    for gap in await tx.gaps.find(recording_id=recording.id, ended_at=None):
        if (cause is None or gap.cause is cause) and (of is None or gap.seat_id in of):
            await tx.gaps.save(replace(gap, ended_at=max(at, gap.started_at)))
            ended += 1
    return ended


def _granted(recording: Recording, grant: RecordingGrant) -> AuditEvent:
    facts = {"grant": grant.id, "seats": sorted(grant.seats), "recorded": sorted(grant.recorded)}
    return _event(EventCode.RECORDING_GRANTED, recording, SYSTEM, facts)


def _event(
    code: EventCode, recording: Recording, actor: str, public: Mapping[str, Any], subject: str | None = None
) -> AuditEvent:
    return AuditEvent(
        code,
        recording.institution_id,
        actor,
        recording.consult_id,
        subject or recording.id,
        public={**public, "recording": recording.id},
    )
