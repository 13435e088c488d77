"""Whose thing it is: one check per `Own`. "Not yours" and "not there" raise the same MissingRow."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from audit.errors import MissingRow
from clinic.access import seat_of
from clinic.consult import Consult, SeatState
from clinic.panels.records import InvitationState
from huizhen.api.call import Call
from huizhen.api.route import Own
from huizhen.store.tables import StoreTransaction

Check = Callable[[Call[Any], StoreTransaction], Awaitable[None]]


async def visible_consult(call: Call[Any], tx: StoreTransaction, consult_id: str) -> Consult:
    """The consult when it belongs to the caller's institution, or they have a seat or an invitation in it."""
    consult = await tx.consults.get(consult_id)
    if consult.institution_id == call.me.institution_id:
        return consult
    seat = await seat_of(tx, call.actor, consult)
    if seat is not None and seat.state is not SeatState.REMOVED:
        return consult
    if seat is None and await still_invited(tx, consult.id, call.me.id):
        return consult
    raise MissingRow("consults")


async def still_invited(tx: StoreTransaction, consult_id: str, expert_id: str) -> bool:
    """Asked and not refused or released: who does not come has no further business with the patient's data."""
    asked = await tx.invitations.find(consult_id=consult_id, expert_id=expert_id)
    return any(invitation.state in (InvitationState.SENT, InvitationState.ACCEPTED) for invitation in asked)


async def _consult(call: Call[Any], tx: StoreTransaction) -> None:
    await visible_consult(call, tx, call.path("consult"))


async def _consult_seat(call: Call[Any], tx: StoreTransaction) -> None:
    consult = await visible_consult(call, tx, call.path("consult"))
    if (await tx.seats.get(call.path("seat"))).consult_id != consult.id:
        raise MissingRow("seats")


async def _invitation(call: Call[Any], tx: StoreTransaction) -> None:
    if (await tx.invitations.get(call.path("invitation"))).expert_id != call.me.id:
        raise MissingRow("invitations")


async def _nothing(call: Call[Any], tx: StoreTransaction) -> None:
    """No resource is named: lists are made of the caller's own rows by the handler."""


async def _evidence_file(call: Call[Any], tx: StoreTransaction) -> None:
    consult = await visible_consult(call, tx, call.path("consult"))
    if (await tx.evidence_files.get(call.path("file"))).consult_id != consult.id:
        raise MissingRow("evidence_files")


async def _seat_file(call: Call[Any], tx: StoreTransaction) -> None:
    if (await tx.evidence_files.get(call.path("file"))).consult_id != call.seat.seat.consult_id:
        raise MissingRow("evidence_files")


async def _request(call: Call[Any], tx: StoreTransaction) -> None:
    request = await tx.panel_requests.get(call.path("panel"))
    home = call.me.institution_id
    parties = await tx.invited_parties.find(request_id=request.id, invited_institution_id=home)
    if request.institution_id != home and not any(row.case_id is not None for row in parties):
        raise MissingRow("panel_requests")


async def _proposal(call: Call[Any], tx: StoreTransaction) -> None:
    consult = await visible_consult(call, tx, call.path("consult"))
    if (await tx.panel_proposals.get(call.path("proposal"))).consult_id != consult.id:
        raise MissingRow("panel_proposals")


async def _cooperation(call: Call[Any], tx: StoreTransaction) -> None:
    row = await tx.cooperation_agreements.get(call.path("cooperation"))
    if not row.shown_to(call.me.institution_id):
        raise MissingRow("cooperation_agreements")


def _of_house(table: str, parameter: str) -> Check:
    async def check(call: Call[Any], tx: StoreTransaction) -> None:
        row = await getattr(tx, table).get(call.path(parameter))
        if row.institution_id != call.me.institution_id:
            raise MissingRow(table)

    return check


async def _recording(call: Call[Any], tx: StoreTransaction) -> None:
    await _visible_recording(call, tx, call.path("recording"))


async def _segment(call: Call[Any], tx: StoreTransaction) -> None:
    await _visible_recording(call, tx, (await tx.segments.get(call.path("segment"))).recording_id)


async def _visible_recording(call: Call[Any], tx: StoreTransaction, recording_id: str) -> None:
    recording = await tx.recordings.get(recording_id)
    await visible_consult(call, tx, recording.consult_id)


async def _panel(call: Call[Any], tx: StoreTransaction) -> None:
    consult_id, home = call.path("consult"), call.me.institution_id
    if not await tx.seats.find(consult_id=consult_id, home_institution_id=home):
        raise MissingRow("consults")


async def _opinion(call: Call[Any], tx: StoreTransaction) -> None:
    if (await tx.opinions.get(call.path("opinion"))).expert_institution_id != call.me.institution_id:
        raise MissingRow("opinions")


async def _referral(call: Call[Any], tx: StoreTransaction) -> None:
    referral = await tx.referrals.get(call.path("referral"))
    if call.me.institution_id not in (referral.from_institution_id, referral.to_institution_id):
        raise MissingRow("referrals")


CHECKS: Mapping[Own, Check] = {
    Own.NOTHING: _nothing,
    Own.SELF: _nothing,
    Own.HOUSE: _nothing,
    Own.DIRECTORY: _nothing,
    Own.CONSULT: _consult,
    Own.CONSULT_SEAT: _consult_seat,
    Own.INVITATION: _invitation,
    Own.STAFF: _of_house("staff", "staff"),
    Own.PATIENT: _of_house("patients", "patient"),
    Own.RECORDING: _recording,
    Own.SEGMENT: _segment,
    Own.EVIDENCE_FILE: _evidence_file,
    Own.SEAT_FILE: _seat_file,
    Own.BREAK_GLASS: _of_house("broken_glasses", "glass"),
    Own.ACCESS: _of_house("access_grants", "access"),
    Own.HOLD: _of_house("legal_holds", "hold"),
    Own.HOLD_REQUEST: _of_house("hold_requests", "request"),
    Own.CASE: _of_house("regulator_cases", "case"),
    Own.DISPOSAL: _of_house("disposals", "disposal"),
    Own.TEMPLATE: _of_house("consent_templates", "template"),
    Own.DRAFT: _of_house("consent_drafts", "draft"),
    Own.CONSENT_RECORD: _of_house("consent_records", "record"),
    Own.SLOT: _of_house("slots", "slot"),
    Own.NOTICE: _of_house("notices", "notice"),
    Own.PANEL: _panel,
    Own.OPINION: _opinion,
    Own.REFERRAL: _referral,
    Own.TASK: _of_house("follow_up_tasks", "task"),
    Own.COPY: _of_house("sealed_copies", "copy"),
    Own.REQUEST: _request,
    Own.PROPOSAL: _proposal,
    Own.COOPERATION: _cooperation,
    Own.HIS_CLIENT: _of_house("his_clients", "client"),
    Own.FHIR: _nothing,  # huizhen.api.fhir asks for each resource
}
