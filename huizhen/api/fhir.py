"""FHIR R4, read only: who may see a consult's chart may read it here, each reading on record before it is told.

A hospital system comes with its bearer token and reads the consults of the patients opened to it (`clinic.clients`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import access
from clinic.consult import Consult
from clinic.errors import NotPermitted
from clinic.people import Patient
from clinic.roles import Action
from consent import desk
from consent.standing import shared_with
from huizhen.api.call import Call
from huizhen.api.own import visible_consult
from huizhen.api.route import Own, Route, Table, Unit, public, records
from huizhen.api.shapes.base import NoBody, Stream
from huizhen.api.shapes.fhir import FormatQuery, SearchQuery
from huizhen.auth.staff import StaffCaller
from huizhen.fhir import capability, classes, outcome, people
from huizhen.fhir.kinds import KINDS, PEOPLE, Kind
from huizhen.fhir.record import Record, gather
from huizhen.fhir.terms import Resource, kept
from huizhen.problems import Problem, RequestError
from huizhen.store.tables import StoreTransaction

Handler = Callable[[Call[NoBody]], Awaitable[web.StreamResponse]]
PREFIX = "/fhir/R4"


async def metadata(call: Call[NoBody]) -> web.StreamResponse:
    return await _answer([capability.statement(call.services.base_url())])


async def read(name: str, call: Call[NoBody]) -> web.StreamResponse:
    """One resource. Raises MissingRow, NotPermitted."""
    kind, wanted = KINDS[name], call.path("resource")
    async with call.services.db.begin() as tx:
        consult = await _consult_of(tx, kind, wanted)
        record = await _looked_at(call, tx, consult, name)
    found = [each for each in kind.resources(record) if each["id"] == wanted]
    if not found:
        raise MissingRow(name)
    return await _answer(found)


async def search(name: str, call: Call[NoBody]) -> web.StreamResponse:
    """A Bundle of what one consult has of a type. What the caller may not know of is as if it did not exist."""
    kind, query = KINDS[name], call.query
    if all(getattr(query, each.strip("_").replace("-", "_")) is None for each in kind.search):
        raise RequestError("request.query", "encounter")
    found: list[Resource] = []
    async with call.services.db.begin() as tx:
        try:
            consult = await _meant(tx, kind, query)
            record = await _looked_at(call, tx, consult, name)
        except MissingRow:
            pass
        else:
            found = [each for each in kind.resources(record) if _matches(each, query)]
    base = call.services.base_url()
    told = await asyncio.to_thread(lambda: [classes.checked(each) for each in found])
    return _response(classes.bundle(told, base, f"{base}{call.request.rel_url}"))


async def read_patient(call: Call[NoBody]) -> web.StreamResponse:
    """Whoever may read a consult of the patient may read who the patient is. Raises MissingRow, NotPermitted."""
    async with call.services.db.begin() as tx:
        patient = await tx.patients.get(call.path("resource"))
        await _known_by(call, tx, patient)
    return await _answer([people.patient(patient)])


async def _known_by(call: Call[NoBody], tx: StoreTransaction, patient: Patient) -> None:
    refused: NotPermitted | None = None
    for consult in reversed(await tx.consults.find(patient_id=patient.id)):
        try:
            await _looked_at(call, tx, consult, "Patient")
        except NotPermitted as error:
            refused = error
        except MissingRow:
            continue
        else:
            return
    raise refused or MissingRow("patients")


async def read_practitioner(call: Call[NoBody]) -> web.StreamResponse:
    """Names of doctors and institutions are open to every reader, as the directory is."""
    async with call.services.db.read() as tx:
        row = await tx.staff.get(call.path("resource"))
    return await _answer([people.practitioner(row)])


async def read_organization(call: Call[NoBody]) -> web.StreamResponse:
    async with call.services.db.read() as tx:
        row = await tx.institutions.get(call.path("resource"))
    return await _answer([people.organization(row)])


async def _looked_at(call: Call[NoBody], tx: StoreTransaction, consult: Consult, name: str) -> Record:
    """The record, the reading put on the consult's trail. Raises MissingRow (strangers), NotPermitted."""
    actor = call.actor
    if isinstance(call.caller, StaffCaller):
        await visible_consult(call, tx, consult.id)
        home = actor.institution_id
        if home != consult.institution_id and home not in shared_with(await desk.records_of(tx, consult.id), tx.now):
            raise NotPermitted(Action.READ_FHIR.value)
    basis = await access.chart_use(tx, actor, consult)
    public_part = {"part": "fhir", "resource": name, **basis}
    event = AuditEvent(EventCode.CHART_VIEWED, consult.institution_id, actor.id, consult.id, public=public_part)
    await tx.append(event)
    return await gather(tx, consult, call.services.base_url(), actor.institution_id)


async def _meant(tx: StoreTransaction, kind: Kind, query: SearchQuery) -> Consult:
    """The consult the parameters name. Raises MissingRow; `_matches` holds the others against it."""
    if query.encounter is not None:
        return await tx.consults.get(query.encounter.rpartition("/")[2])
    if query.based_on is not None:
        return await _consult_of(tx, KINDS["ServiceRequest"], query.based_on.rpartition("/")[2])
    return await _consult_of(tx, kind, query.id or (query.identifier or "").rpartition("|")[2])


async def _consult_of(tx: StoreTransaction, kind: Kind, row_id: str) -> Consult:
    """The consult a resource is of, by its id. Raises MissingRow."""
    for table in kind.tables:
        if not table:
            return await tx.consults.get(row_id)
        if rows := await getattr(tx, table).find(id=row_id):
            return await tx.consults.get(rows[0].consult_id)
    raise MissingRow("fhir")


def _matches(resource: Resource, query: SearchQuery) -> bool:
    """The parameters that did not choose the consult."""
    if query.id is not None and resource["id"] != query.id:
        return False
    if query.identifier is not None:
        system, _, value = query.identifier.rpartition("|")
        if not any(
            each["value"] == value and system in ("", each["system"]) for each in resource.get("identifier", ())
        ):
            return False
    if query.based_on is not None:
        wanted = f"ServiceRequest/{query.based_on.rpartition('/')[2]}"
        return any(each["reference"] == wanted for each in resource.get("basedOn", ()))
    return True


async def _answer(found: list[Resource]) -> web.Response:
    """Checked in a thread: the standard's classes are read when the first resource is told."""
    return _response(await asyncio.to_thread(classes.checked, found[0]))


def refused(problem: Problem) -> web.Response:
    """Any refusal at this door, as an OperationOutcome."""
    response = _response(outcome.outcome(problem))
    response.set_status(problem.status)
    if problem.status == 429:
        response.headers["Retry-After"] = "60"
    return response


def _response(resource: Resource) -> web.Response:
    headers = {"Cache-Control": "no-store, private"}
    body = json.dumps(kept(resource), ensure_ascii=False).encode()
    return web.Response(body=body, content_type=capability.MEDIA_TYPE, headers=headers)


def _get(path: str, handler: Handler, summary: str, query: Any = FormatQuery) -> Route[NoBody]:
    return Route(
        method="GET",
        path=f"{PREFIX}/{path}",
        handler=handler,
        policy=records(Action.READ_FHIR, own=Own.FHIR),
        answer=Stream,
        unit=Unit.NONE,
        query=query,
        refusal=refused,
        summary=summary,
    )


_OF_PEOPLE: dict[str, Handler] = dict(
    zip(PEOPLE, (read_patient, read_practitioner, read_organization), strict=True),
)
ROUTES: Table = (
    Route(
        method="GET",
        path=f"{PREFIX}/metadata",
        handler=metadata,
        policy=public(),
        answer=Stream,
        unit=Unit.NONE,
        query=FormatQuery,
        refusal=refused,
        summary="FHIR R4 CapabilityStatement",
    ),
    *(_get(name, partial(search, name), f"FHIR {name}: {kind.profile}", SearchQuery) for name, kind in KINDS.items()),
    *(_get(f"{name}/{{resource}}", partial(read, name), f"One FHIR {name}") for name in KINDS),
    *(_get(f"{name}/{{resource}}", handler, f"One FHIR {name}") for name, handler in _OF_PEOPLE.items()),
)
