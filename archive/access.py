"""Seeing a recording: asked with a reason, given by another person for a time, each viewing on record."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from archive.errors import AlreadyDisposed, IllegalMove, NoGrant, Restricted, SameHands
from archive.policy import PROCESS_AV
from archive.ports import ArchiveTransaction
from archive.records import AccessGrant, AccessState, RetainedRecord, RetainedState
from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks, regulation
from clinic.access import seat_of
from clinic.actor import Actor
from clinic.consult import Consult, SeatState
from clinic.errors import InvalidInput
from clinic.overlays import rules_for
from clinic.people import Role
from clinic.regulation import CaseScope
from clinic.roles import Action, Place, Reach, reaches, require, resolve
from clinic.rulebook import RuleSet
from consent.standing import shared_with
from recording.records import Recording, RecordingState


@dataclass(frozen=True, slots=True)
class View:
    """A permitted viewing, already on record: commit before the first byte is sent."""

    recording: Recording
    basis: Reach
    grant: AccessGrant | None


async def request(tx: ArchiveTransaction, actor: Actor, recording_id: str, reason: str) -> AccessGrant:
    """Ask to see a recording. Raises InvalidInput (reason too short), AlreadyDisposed, NotPermitted, MissingRow."""
    recording = await tx.recordings.get(recording_id)
    at_home(actor, Action.REQUEST_ACCESS, recording.institution_id)
    await kept(tx, recording)
    rules = await rules_of(tx, recording.institution_id)
    grant = AccessGrant(
        id=uuid4().hex,
        institution_id=recording.institution_id,
        consult_id=recording.consult_id,
        recording_id=recording_id,
        requester_id=actor.id,
        reason=checks.text("reason", reason, 1000, rules.value("AC-03", "minimum_reason")),
        state=AccessState.REQUESTED,
        requested_at=tx.now,
    )
    await tx.access_grants.add(grant)
    await tx.append(_event(EventCode.ACCESS_REQUESTED, grant, actor))
    return grant


async def decide(
    tx: ArchiveTransaction, actor: Actor, grant_id: str, grant: bool, *, reason: str = "", hours: int | None = None
) -> AccessGrant:
    """Give (for `hours`, at most what the policy allows) or refuse. Raises SameHands, IllegalMove, InvalidInput."""
    asked = await tx.access_grants.get(grant_id)
    at_home(actor, Action.DECIDE_ACCESS, asked.institution_id)
    if actor.id == asked.requester_id:
        raise SameHands()
    if asked.state is not AccessState.REQUESTED:
        raise IllegalMove(f"{asked.state} is decided")
    rules = await rules_of(tx, asked.institution_id)
    most = rules.value("AC-03", "maximum_hours")
    span = min(rules.value("AC-03", "default_hours"), most) if hours is None else hours
    if not 1 <= span <= most:
        raise InvalidInput("hours", "longer than the policy allows")
    decided = replace(
        asked,
        state=AccessState.GRANTED if grant else AccessState.REFUSED,
        decided_by=actor.id,
        decided_at=tx.now,
        decision_reason=checks.text("reason", reason, 1000, 0 if grant else 2),
        expires_at=tx.now + timedelta(hours=span) if grant else None,
    )
    await tx.access_grants.save(decided)
    await tx.append(_event(EventCode.ACCESS_GRANTED if grant else EventCode.ACCESS_REFUSED, decided, actor))
    return decided


async def revoke(tx: ArchiveTransaction, actor: Actor, grant_id: str, reason: str) -> AccessGrant:
    """End a grant before its time. Raises IllegalMove when there is none."""
    grant = await tx.access_grants.get(grant_id)
    at_home(actor, Action.DECIDE_ACCESS, grant.institution_id)
    if grant.state is not AccessState.GRANTED:
        raise IllegalMove(f"{grant.state} cannot be revoked")
    revoked = replace(
        grant, state=AccessState.REVOKED, decision_reason=checks.text("reason", reason, 1000, 2), expires_at=tx.now
    )
    await tx.access_grants.save(revoked)
    await tx.append(_event(EventCode.ACCESS_REVOKED, revoked, actor))
    return revoked


async def require_grant(tx: ArchiveTransaction, staff_id: str, recording_id: str, now: datetime) -> AccessGrant:
    """The live grant of this person for this recording. Raises NoGrant."""
    found = await tx.access_grants.find(recording_id=recording_id, requester_id=staff_id, state=AccessState.GRANTED)
    for grant in found:
        if grant.expires_at is not None and now < grant.expires_at:
            return grant
    raise NoGrant()


async def view(tx: ArchiveTransaction, actor: Actor, recording_id: str) -> View:
    """Permit one viewing and put it on record.

    Raises NoGrant, Restricted, AlreadyDisposed, IllegalMove, NotPermitted; for a regulator NoCase, CaseOver.
    Treating doctors and the patient see their own; experts for some days after signing; a regulator under a case;
    others by a grant. A restricted recording is shown to the patient, to a regulator, and in a dispute (a hold is on
    it) to the holder of a grant; to nobody else.
    """
    recording = await tx.recordings.get(recording_id)
    consult = await tx.consults.get(recording.consult_id)
    record = await kept(tx, recording)
    if recording.state is not RecordingState.SEALED:
        raise IllegalMove("not sealed")
    seat = await seat_of(tx, actor, consult)
    if seat is None and actor.institution_id != consult.institution_id:
        raise MissingRow("recordings")
    place = Place(consult.institution_id, consult.id, await _owners(tx, consult, actor), seat, open=not consult.over)
    grant: AccessGrant | None = None
    case = ""
    reach = resolve(actor, Action.PLAY_RECORDING, place)
    if Role.REGULATOR in actor.roles:
        case = (await regulation.use(tx, CaseScope.RECORDING, consult, actor)).id
        place = replace(place, approved=True)
    elif reach is None and any(Reach.APPROVED in reaches(role, Action.PLAY_RECORDING) for role in actor.roles):
        grant = await require_grant(tx, actor.id, recording_id, tx.now)
        place = replace(place, approved=True)
    reach = require(actor, Action.PLAY_RECORDING, place)
    if record is not None and record.restricted and actor.id != consult.patient_id and not case:
        own = {"consult_id": consult.id, "institution_id": recording.institution_id}
        disputed = await tx.legal_holds.find(**own, lifted_at=None)
        if grant is None or not disputed:
            raise Restricted()
    public = {"basis": reach.value, "grant": grant.id if grant else ""} | ({"case": case} if case else {})
    await tx.append(
        AuditEvent(
            EventCode.RECORDING_VIEWED,
            consult.institution_id,
            actor.seat_id or actor.id,
            consult.id,
            recording_id,
            public=public,
        )
    )
    return View(recording, reach, grant)


async def kept(tx: ArchiveTransaction, recording: Recording) -> RetainedRecord | None:
    """The archive's record of a recording, None before it is taken in. Raises AlreadyDisposed."""
    found = await tx.retained_records.find(subject_id=recording.id, record_class=PROCESS_AV)
    if found and found[0].state in (RetainedState.PURGING, RetainedState.DISPOSED):
        raise AlreadyDisposed()
    return found[0] if found else None


def at_home(actor: Actor, action: Action, institution_id: str) -> None:
    """An act of an office in its own institution. Raises MissingRow for strangers, NotPermitted."""
    if actor.institution_id != institution_id:
        raise MissingRow("archive")
    require(actor, action, Place(institution_id))


async def _owners(tx: ArchiveTransaction, consult: Consult, actor: Actor) -> frozenset[str]:
    """Whose recording it is: the patient's, the doctor's, and for a while that of the experts who signed."""
    owners = {consult.patient_id, consult.doctor_id}
    after = (await rules_of(tx, consult.institution_id)).days("AC-03", "expert_days")
    for opinion in await tx.opinions.find(consult_id=consult.id, expert_id=actor.id):
        if opinion.signed_at is not None and tx.now < opinion.signed_at + after:
            owners.add(actor.id)
    seats = await tx.seats.find(consult_id=consult.id, person_id=actor.id)
    if any(seat.role is Role.NURSE or seat.state is SeatState.REMOVED for seat in seats):
        owners.discard(actor.id)
    if actor.institution_id != consult.institution_id:  # PIPL art. 23: only as long as the patient shares with it
        records = await tx.consent_records.find(consult_id=consult.id)
        if actor.institution_id not in shared_with(records, tx.now):
            owners.discard(actor.id)
    return frozenset(owners)


async def rules_of(tx: ArchiveTransaction, institution_id: str) -> RuleSet:
    """The rules that bind this institution now."""
    return rules_for(await tx.institutions.get(institution_id), tx.now)


def _event(code: EventCode, grant: AccessGrant, actor: Actor) -> AuditEvent:
    until = grant.expires_at.isoformat() if grant.expires_at else ""
    return AuditEvent(
        code,
        grant.institution_id,
        actor.id,
        grant.consult_id,
        grant.recording_id,
        public={"grant": grant.id, "requester": grant.requester_id, "until": until},
    )
