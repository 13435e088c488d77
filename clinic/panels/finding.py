"""A consult's request and the institutions it names, found from the rows."""

from audit.errors import MissingRow
from clinic.errors import IllegalMove
from clinic.panels.requests import TAKING_PART, InvitedParty, PanelRequest, RequestState
from clinic.transaction import ClinicTransaction


async def live(tx: ClinicTransaction, consult_id: str) -> PanelRequest | None:
    """The consult's one request that has not ended."""
    return next((row for row in await tx.panel_requests.find(consult_id=consult_id) if not row.over), None)


async def drafted(tx: ClinicTransaction, consult_id: str) -> PanelRequest:
    """Its draft. Raises MissingRow (none), IllegalMove (sent already)."""
    request = await live(tx, consult_id)
    if request is None:
        raise MissingRow("panel_requests")
    if request.state is not RequestState.DRAFT:
        raise IllegalMove("asked already")
    return request


async def parties_of(tx: ClinicTransaction, request: PanelRequest) -> list[InvitedParty]:
    """Every institution the request ever named, the preferred first."""
    return sorted(await tx.invited_parties.find(request_id=request.id), key=lambda row: row.rank)


async def named(tx: ClinicTransaction, consult_id: str) -> tuple[str, ...]:
    """Institutions the patient's text has to name: those asked or about to be. Requests of before there were drafts
    are told by their case alone."""
    if not await tx.panel_requests.find(consult_id=consult_id):
        return tuple(row.invited_institution_id for row in await tx.cases.find(consult_id=consult_id))
    request = await live(tx, consult_id)
    if request is None:
        return ()
    return tuple(row.invited_institution_id for row in await parties_of(tx, request) if row.state in TAKING_PART)
