"""A hospital system (HIS) reads the records of named patients, and of nobody else (domain-rules section 7: SYS).

The administrator enters and ends a client; who registers patients says whose records it may read, one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.consult import Consult
from clinic.errors import IllegalMove, InvalidInput
from clinic.people import Role
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction

LARGEST = 200  # patients of one request


@dataclass(frozen=True, slots=True)
class HisClient:
    """A system of the house. Its token is known to it alone; only a hash is kept."""

    id: str
    institution_id: str
    name: str
    created_by: str
    created_at: datetime
    ended_by: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClientScope:
    """That a client may read one patient's records."""

    id: str
    institution_id: str
    client_id: str
    patient_id: str
    granted_by: str
    granted_at: datetime
    ended_by: str | None = None
    ended_at: datetime | None = None


def actor_of(client: HisClient) -> Actor:
    return Actor(client.id, client.institution_id, (Role.SYSTEM,))


async def enter(tx: ClinicTransaction, name: str, by: Actor) -> HisClient:
    """A new client, with nobody's records yet. Raises NotPermitted, InvalidInput."""
    require(by, Action.ADMINISTER, Place(by.institution_id))
    client = HisClient(uuid4().hex, by.institution_id, checks.text("name", name, checks.NAME), by.id, tx.now)
    await tx.his_clients.add(client)
    await tx.append(AuditEvent(EventCode.CLIENT_ENTERED, by.institution_id, by.id, subject_id=client.id))
    return client


async def living(tx: ClinicTransaction, client_id: str, by: Actor) -> HisClient:
    """One the administrator may give a token. Raises NotPermitted, MissingRow, IllegalMove (ended)."""
    return await _at_home(tx, client_id, Action.ADMINISTER, by)


async def end(tx: ClinicTransaction, client_id: str, by: Actor) -> HisClient:
    """It reads nothing any more. Raises NotPermitted, MissingRow, IllegalMove (ended already)."""
    client = await _at_home(tx, client_id, Action.ADMINISTER, by)
    client = replace(client, ended_by=by.id, ended_at=tx.now)
    await tx.his_clients.save(client)
    await tx.append(AuditEvent(EventCode.CLIENT_ENDED, by.institution_id, by.id, subject_id=client.id))
    return client


async def open_to(tx: ClinicTransaction, client_id: str, patient_ids: Sequence[str], by: Actor) -> None:
    """The client may read these patients' records; who is open to it already stays so.

    Raises NotPermitted, MissingRow (a patient of another house), InvalidInput, IllegalMove.
    """
    client = await _at_home(tx, client_id, Action.REGISTER_PATIENT, by)
    known = {row.patient_id for row in await scopes(tx, client.id)}
    for patient_id in _wanted(patient_ids):
        if (await tx.patients.get(patient_id)).institution_id != client.institution_id:
            raise MissingRow("patients")
        if patient_id not in known:
            row = ClientScope(uuid4().hex, client.institution_id, client.id, patient_id, by.id, tx.now)
            await tx.client_scopes.add(row)
            await tx.append(_scoped(row, by, open_now=True))


async def close_to(tx: ClinicTransaction, client_id: str, patient_ids: Sequence[str], by: Actor) -> None:
    """The client reads these patients' records no longer. Raises as `open_to`."""
    client = await _at_home(tx, client_id, Action.REGISTER_PATIENT, by)
    wanted = set(_wanted(patient_ids))
    for row in await scopes(tx, client.id):
        if row.patient_id in wanted:
            await tx.client_scopes.save(replace(row, ended_by=by.id, ended_at=tx.now))
            await tx.append(_scoped(row, by, open_now=False))


async def scopes(tx: ClinicTransaction, client_id: str) -> tuple[ClientScope, ...]:
    """Whose records are open to the client."""
    return tuple(await tx.client_scopes.find(client_id=client_id, ended_at=None))


async def covered(tx: ClinicTransaction, consult: Consult, client: Actor) -> None:
    """Whether the client may read this consult. Raises MissingRow (of another house), NotPermitted."""
    if client.institution_id != consult.institution_id:
        raise MissingRow("consults")
    found = await tx.client_scopes.find(client_id=client.id, patient_id=consult.patient_id, ended_at=None)
    owners = frozenset({client.id}) if found else frozenset[str]()
    require(client, Action.READ_FHIR, Place(consult.institution_id, consult.id, owners, open=not consult.over))


async def _at_home(tx: ClinicTransaction, client_id: str, action: Action, by: Actor) -> HisClient:
    client = await tx.his_clients.get(client_id)
    if client.institution_id != by.institution_id:
        raise MissingRow("his_clients")
    require(by, action, Place(by.institution_id))
    if client.ended_at is not None:
        raise IllegalMove("the client was ended")
    return client


def _wanted(patient_ids: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(patient_ids) <= LARGEST:
        raise InvalidInput("patient_ids", "none, or too many")
    return tuple(dict.fromkeys(patient_ids))


def _scoped(row: ClientScope, by: Actor, *, open_now: bool) -> AuditEvent:
    public = {"patient": row.patient_id, "open": open_now}
    return AuditEvent(EventCode.CLIENT_SCOPED, row.institution_id, by.id, subject_id=row.client_id, public=public)
