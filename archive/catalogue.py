"""Finding recordings: what the archivist searches and what the player shows beside the pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from archive.access import at_home
from archive.policy import PROCESS_AV
from archive.ports import ArchiveTransaction
from archive.records import AccessGrant, Disposal, RetainedRecord, RetainedState
from clinic import regulation
from clinic.access import seat_of
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind
from clinic.errors import CaseOver, NoCase
from clinic.people import Role
from clinic.regulation import CaseScope
from clinic.roles import Action
from consent.records import ConsentAction, ConsentRecord, Purpose
from recording.records import Recording


@dataclass(frozen=True, slots=True)
class Query:
    """Every filter is optional; aware UTC times, `until` excluded; `text` is looked for in patient and doctor names."""

    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    doctor_id: str | None = None
    department: str | None = None
    kind: ConsultKind | None = None
    state: RetainedState | None = None
    held: bool | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording as the catalogue shows it: descriptions only, no content. `record` is None until it is taken in."""

    recording: Recording
    consult: Consult
    record: RetainedRecord | None
    patient_name: str
    doctor_name: str
    segments: int
    duration_ms: int  # of the longest track
    size: int  # bytes, encrypted
    held: bool
    grants: tuple[AccessGrant, ...]
    destruction: "Destruction | None"


@dataclass(frozen=True, slots=True)
class Destruction:
    """What the player says of a recording that is gone: when, by whose word, under which certificate."""

    disposal_id: str
    destroyed_at: datetime
    proposed_by: str  # names
    approved_by: tuple[str, ...]
    certificate: str
    certificate_seal: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the player's timeline. Kinds: admitted, left, consent, withdrawn, spoken, gap, chat."""

    at: datetime
    kind: str
    seat_id: str | None
    detail: str = ""
    until: datetime | None = None


async def search(tx: ArchiveTransaction, actor: Actor, query: Query | None = None) -> list[Entry]:
    """Recordings of the own institution, the latest first; for a regulator those of live cases. Raises NotPermitted."""
    inspecting = Role.REGULATOR in actor.roles
    if not inspecting:
        at_home(actor, Action.SEARCH_ARCHIVE, actor.institution_id)
    query = query or Query()
    found = []
    for recording in await tx.recordings.find(institution_id=actor.institution_id):
        described = await _describe(tx, recording)
        if _matches(described, query) and (not inspecting or await _inspected(tx, actor, described.consult)):
            found.append(described)
    found.sort(key=lambda item: item.recording.requested_at, reverse=True)
    return found[: query.limit]


async def entry(tx: ArchiveTransaction, actor: Actor, recording_id: str) -> Entry:
    """One recording's description, for the archive's people and those who were in the consult. Raises NotPermitted."""
    recording = await tx.recordings.get(recording_id)
    described = await _describe(tx, recording)
    mine = {described.consult.patient_id, described.consult.doctor_id}
    if Role.REGULATOR in actor.roles:
        await regulation.covered(tx, CaseScope.RECORDING, described.consult, actor)
    elif actor.id not in mine and await seat_of(tx, actor, described.consult) is None:
        at_home(actor, Action.SEARCH_ARCHIVE, recording.institution_id)
    return described


async def _inspected(tx: ArchiveTransaction, actor: Actor, consult: Consult) -> bool:
    try:
        await regulation.covered(tx, CaseScope.RECORDING, consult, actor)
    except (NoCase, CaseOver):
        return False
    return True


async def timeline(tx: ArchiveTransaction, recording_id: str, *, with_chat: bool) -> list[Mark]:
    """Comings and goings, consents, pauses and (for those who may see the content) chat, in order of time."""
    recording = await tx.recordings.get(recording_id)
    consult_id = recording.consult_id
    marks: list[Mark] = []
    for seat in await tx.seats.find(consult_id=consult_id):
        if seat.admitted_at is not None:
            marks.append(Mark(seat.admitted_at, "admitted", seat.id, seat.role.value))
        if seat.left_at is not None:
            marks.append(Mark(seat.left_at, "left", seat.id, seat.state.value))
    for record in await tx.consent_records.find(consult_id=consult_id):
        marks.append(_said(record))
    for said_aloud in await tx.spoken_marks.find(recording_id=recording_id):
        marks.append(Mark(said_aloud.began_at, "spoken", said_aloud.seat_id, said_aloud.asked_by, said_aloud.ended_at))
    for gap in await tx.gaps.find(recording_id=recording_id):
        marks.append(Mark(gap.started_at, "gap", gap.seat_id, gap.cause.value, gap.ended_at))
    if with_chat:
        for message in await tx.chat_messages.find(consult_id=consult_id):
            marks.append(Mark(message.sent_at, "chat", message.seat_id, message.text))
    return sorted(marks, key=lambda mark: mark.at)


_KINDS = {
    ConsentAction.SIGNED: "consent",
    ConsentAction.WITHDRAWN: "withdrawn",
    ConsentAction.ASSENTED: "assented",
    ConsentAction.WITNESSED: "witnessed",
    ConsentAction.ENTERED_IN_ERROR: "corrected",
    ConsentAction.PAUSED: "privacy_paused",
    ConsentAction.RESUMED: "privacy_resumed",
}


def _said(record: ConsentRecord) -> Mark:
    """One act of the consent ledger. An exam view is confirmed and ended by statements of its own."""
    kind = _KINDS[record.action]
    if record.template_id is None and Purpose.INTIMATE in (*record.permitted, *record.refused):
        ended = record.action is ConsentAction.WITHDRAWN
        kind = "exam_ended" if ended else "exam_confirmed" if record.permitted else "exam_declined"
    return Mark(record.recorded_at, kind, record.seat_id, ",".join(purpose.value for purpose in record.permitted))


async def destruction(tx: ArchiveTransaction, record: RetainedRecord) -> Destruction | None:
    """Who destroyed it and when; None while it exists."""
    if record.state is not RetainedState.DISPOSED or record.disposal_id is None:
        return None
    disposal: Disposal = await tx.disposals.get(record.disposal_id)
    names = [(await tx.staff.get(staff_id)).name for staff_id, _ in disposal.approvals]
    return Destruction(
        disposal.id,
        disposal.done_at or disposal.proposed_at,
        (await tx.staff.get(disposal.proposed_by)).name,
        tuple(names),
        disposal.certificate or "",
        disposal.certificate_seal or "",
    )


async def _describe(tx: ArchiveTransaction, recording: Recording) -> Entry:
    consult = await tx.consults.get(recording.consult_id)
    records = await tx.retained_records.find(subject_id=recording.id, record_class=PROCESS_AV)
    segments = await tx.segments.find(recording_id=recording.id)
    tracks: dict[tuple[str, str], int] = {}
    for segment in segments:
        key = (segment.seat_id, segment.track.value)
        tracks[key] = tracks.get(key, 0) + segment.duration_ms
    return Entry(
        recording,
        consult,
        records[0] if records else None,
        (await tx.patients.get(consult.patient_id)).name,
        (await tx.staff.get(consult.doctor_id)).name,
        len(segments),
        max(tracks.values(), default=0),
        sum(segment.size for segment in segments),
        bool(  # another institution's hold is over its own copy, and says nothing of this recording
            await tx.legal_holds.find(consult_id=consult.id, institution_id=recording.institution_id, lifted_at=None)
        ),
        tuple(await tx.access_grants.find(recording_id=recording.id)),
        await destruction(tx, records[0]) if records else None,
    )


def _matches(item: Entry, query: Query) -> bool:
    text = query.text.strip().casefold()
    tests: list[tuple[object, Callable[[], bool]]] = [
        (text or None, lambda: text in item.patient_name.casefold() or text in item.doctor_name.casefold()),
        (query.since, lambda: query.since is not None and item.recording.requested_at >= query.since),
        (query.until, lambda: query.until is not None and item.recording.requested_at < query.until),
        (query.doctor_id, lambda: item.consult.doctor_id == query.doctor_id),
        (query.department, lambda: item.consult.department == query.department),
        (query.kind, lambda: item.consult.kind is query.kind),
        (query.state, lambda: item.record is not None and item.record.state is query.state),
        (query.held, lambda: item.held == query.held),
    ]
    return all(asked is None or test() for asked, test in tests)
