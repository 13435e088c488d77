"""Who may bring images into a consult and who may look at them, asked anew for every request.

The role table first (`see_images`), then for people of another institution the patient's SHARE_PANEL naming it (PIPL
art. 23). Nothing is remembered between requests, so a withdrawal ends the looking with the next one.
"""

from dataclasses import dataclass

from audit.errors import MissingRow
from clinic import regulation
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus
from clinic.people import Role
from clinic.regulation import CaseScope
from clinic.roles import Action
from consent import desk
from consent.errors import ConsentMissing
from consent.records import Purpose
from consent.standing import shared_with
from imaging.errors import NotTaken
from imaging.transaction import ImagingTransaction

TAKING = frozenset(
    {ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS, ConsultStatus.CONCLUDING}
)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who may look now. `id`: the seat where they have one."""

    id: str
    consult: Consult
    foreign: bool
    case: str = ""  # the regulator's, under which they look


async def may_see(tx: ImagingTransaction, actor: Actor, consult_id: str, action: Action = Action.SEE_IMAGES) -> Viewer:
    """Raises NotPermitted, ConsentMissing (share_panel), MissingRow; for a regulator NoCase, CaseOver."""
    consult = await tx.consults.get(consult_id)
    if Role.REGULATOR in actor.roles and action is Action.SEE_IMAGES:
        case = await regulation.covered(tx, CaseScope.CHART, consult, actor)
        return Viewer(actor.id, consult, foreign=False, case=case.id)
    seat = await authorise(tx, actor, action, consult)
    home = seat.home_institution_id if seat is not None else actor.institution_id
    foreign = home != consult.institution_id
    if foreign and home not in shared_with(await desk.records_of(tx, consult_id), tx.now):
        raise ConsentMissing((Purpose.SHARE_PANEL.value,))
    return Viewer(seat.id if seat is not None else actor.id, consult, foreign)


async def may_add(tx: ImagingTransaction, actor: Actor, consult_id: str) -> Viewer:
    """The inviting side, asked before a byte is received and again with the rows.

    Raises NotPermitted, MissingRow, NotTaken.
    """
    consult = await tx.consults.get(consult_id)
    seat = await authorise(tx, actor, Action.ADD_IMAGES, consult)
    if seat is not None and seat.home_institution_id != consult.institution_id:
        raise MissingRow("consults")
    if consult.status not in TAKING:
        raise NotTaken()
    return Viewer(seat.id if seat is not None else actor.id, consult, foreign=False)
