"""Hospital systems of the house: entered and ended by its administrator, opened to patients by who registers them."""

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import clients
from clinic.clients import HisClient
from clinic.roles import Action
from huizhen.api.call import Call
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Items, NoBody
from huizhen.api.shapes.clients import ClientIssued, ClientPatients, ClientRow, NewClientBody, ScopeBody, TokenBody
from huizhen.store.tables import StoreTransaction


async def _row(tx: StoreTransaction, client: HisClient) -> ClientRow:
    return ClientRow(
        id=client.id,
        name=client.name,
        created_at=client.created_at,
        ended_at=client.ended_at,
        patients=len(await clients.scopes(tx, client.id)),
    )


async def listed(call: Call[NoBody]) -> Items[ClientRow]:
    found = await call.tx.his_clients.find(institution_id=call.me.institution_id)
    return Items(items=[await _row(call.tx, client) for client in found])


async def enter(call: Call[NewClientBody]) -> ClientIssued:
    client = await clients.enter(call.tx, call.body.name, call.actor)
    token = await call.services.client_door.issue(call.tx, client, call.body.days)
    return ClientIssued(**(await _row(call.tx, client)).model_dump(), token=token)


async def renew(call: Call[TokenBody]) -> ClientIssued:
    """A new token; the former one counts no longer."""
    client = await clients.living(call.tx, call.path("client"), call.actor)
    token = await call.services.client_door.issue(call.tx, client, call.body.days)
    event = AuditEvent(EventCode.CLIENT_RENEWED, client.institution_id, call.actor.id, subject_id=client.id)
    await call.tx.append(event)
    return ClientIssued(**(await _row(call.tx, client)).model_dump(), token=token)


async def end(call: Call[Empty]) -> ClientRow:
    client = await clients.end(call.tx, call.path("client"), call.actor)
    await call.services.client_door.forget(call.tx, client.id)
    return await _row(call.tx, client)


async def scope(call: Call[ScopeBody]) -> ClientPatients:
    change = clients.open_to if call.body.open else clients.close_to
    await change(call.tx, call.path("client"), call.body.patient_ids, call.actor)
    return await _patients(call.tx, call.path("client"))


async def patients(call: Call[NoBody]) -> ClientPatients:
    return await _patients(call.tx, call.path("client"))


async def _patients(tx: StoreTransaction, client_id: str) -> ClientPatients:
    return ClientPatients(patient_ids=[row.patient_id for row in await clients.scopes(tx, client_id)])


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/his-clients",
        handler=listed,
        policy=staff(Action.ADMINISTER, Action.REGISTER_PATIENT, own=Own.HOUSE),
        answer=Items[ClientRow],
        summary="Hospital systems of the house that read by FHIR",
    ),
    Route(
        method="POST",
        path="/api/his-clients",
        handler=enter,
        policy=staff(Action.ADMINISTER, own=Own.HOUSE),
        body=NewClientBody,
        answer=ClientIssued,
        unit=Unit.WRITE,
        summary="Enter one; its token is told once",
    ),
    Route(
        method="POST",
        path="/api/his-clients/{client}/token",
        handler=renew,
        policy=staff(Action.ADMINISTER, own=Own.HIS_CLIENT),
        body=TokenBody,
        answer=ClientIssued,
        unit=Unit.WRITE,
        summary="A new token; the former one counts no longer",
    ),
    Route(
        method="POST",
        path="/api/his-clients/{client}/end",
        handler=end,
        policy=staff(Action.ADMINISTER, own=Own.HIS_CLIENT),
        body=Empty,
        answer=ClientRow,
        unit=Unit.WRITE,
        summary="It reads nothing any more",
    ),
    Route(
        method="GET",
        path="/api/his-clients/{client}/patients",
        handler=patients,
        policy=staff(Action.REGISTER_PATIENT, own=Own.HIS_CLIENT),
        answer=ClientPatients,
        summary="Whose records it may read",
    ),
    Route(
        method="POST",
        path="/api/his-clients/{client}/patients",
        handler=scope,
        policy=staff(Action.REGISTER_PATIENT, own=Own.HIS_CLIENT),
        body=ScopeBody,
        answer=ClientPatients,
        unit=Unit.WRITE,
        summary="Open the records of these patients to it, or close them",
    ),
)
