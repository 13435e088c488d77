"""A panel as a calendar file: for an expert by their invitation, for the inviting side by the consult."""

from dataclasses import replace

from aiohttp import web

from audit.errors import MissingRow
from clinic.access import authorise
from clinic.consult import Consult, ConsultKind, ConsultStatus
from clinic.panels.records import InvitationState
from clinic.panels.requests import PanelRequest, RequestState
from clinic.panels.traces import require_panel
from clinic.roles import Action
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, staff
from huizhen.api.shapes.base import NoBody, Stream
from huizhen.calendar_files import Meeting, calendar_file
from huizhen.store.tables import StoreTransaction

_TITLES = {
    ConsultKind.EXPERT_CONSULT: "远程会诊 Expert panel",
    ConsultKind.REMOTE_DIAGNOSIS: "远程诊断 Remote diagnosis",
}


async def of_invitation(call: Call[NoBody]) -> web.Response:
    tx = call.tx
    invitation = await tx.invitations.get(call.path("invitation"))
    consult = await tx.consults.get(invitation.consult_id)
    parties = await tx.invited_parties.find(consult_id=consult.id)
    party = next((row for row in parties if row.case_id == invitation.case_id), None)
    request = await tx.panel_requests.get(party.request_id) if party is not None else None
    gone = invitation.state in (InvitationState.REFUSED, InvitationState.RELEASED)
    meeting = await _meeting(call, tx, consult, request, invitation.id, gone=gone)
    return _file(meeting, tentative=invitation.state is InvitationState.SENT)


async def of_consult(call: Call[NoBody]) -> web.Response:
    tx = call.tx
    consult = await tx.consults.get(call.path("consult"))
    if consult.institution_id != call.me.institution_id:
        raise MissingRow("consults")
    await authorise(tx, call.actor, Action.SEE_REQUESTS, consult)
    require_panel(consult)
    requests = await tx.panel_requests.find(consult_id=consult.id)
    request = requests[-1] if requests else None
    meeting = await _meeting(call, tx, consult, request, consult.id, gone=False)
    waits = request is None or request.state is not RequestState.CONVENED
    return _file(meeting, tentative=waits)


async def _meeting(
    call: Call[NoBody], tx: StoreTransaction, consult: Consult, request: PanelRequest | None, uid: str, *, gone: bool
) -> Meeting:
    house = await tx.institutions.get(consult.institution_id)
    over = consult.status in (ConsultStatus.CANCELLED, ConsultStatus.NO_SHOW)
    return Meeting(
        uid=uid,
        sequence=(request.sequence if request is not None else 0) + (1 if gone else 0),
        starts_at=consult.starts_at,
        ends_at=consult.ends_at,
        title=_TITLES[consult.kind],
        organiser=house.name,
        organiser_id=house.id,
        url=f"{call.services.base_url()}/console/consults/{consult.id}",
        stamped_at=tx.now,
        cancelled=gone or over or (request is not None and request.over),
    )


def _file(meeting: Meeting, *, tentative: bool) -> web.Response:
    headers = {
        "Content-Disposition": f'attachment; filename="panel-{meeting.uid[:8]}.ics"',
        "Cache-Control": "no-store, private",
        "X-Content-Type-Options": "nosniff",
    }
    body = calendar_file(replace(meeting, tentative=tentative and not meeting.cancelled))
    return web.Response(body=body, content_type="text/calendar", charset="utf-8", headers=headers)


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/invitations/{invitation}/calendar",
        handler=of_invitation,
        policy=staff(Action.ANSWER_INVITATION, own=Own.INVITATION),
        answer=Stream,
        summary="The panel as a calendar file, for the expert asked; nothing of the patient in it",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/calendar",
        handler=of_consult,
        policy=staff(Action.SEE_REQUESTS, own=Own.CONSULT),
        answer=Stream,
        summary="The panel as a calendar file, for the inviting side",
    ),
)
