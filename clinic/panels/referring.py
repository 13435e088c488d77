"""Two-way referral (双向转诊): out to the hospital that treats, back to the clinic, under a number both sides quote."""

from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.calendar import local_date
from clinic.consult import Consult, ConsultStatus
from clinic.errors import IllegalMove, InvalidInput
from clinic.panels.outcome import REFERRAL_MOVES, Direction, Referral, ReferralState
from clinic.panels.traces import event, require_panel
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction

_AFTER = (ConsultStatus.IN_PROGRESS, ConsultStatus.CONCLUDING, ConsultStatus.CLOSED)


async def refer(tx: ClinicTransaction, consult_id: str, to_institution_id: str, reason: str, by: Actor) -> Referral:
    """The inviting side refers the patient out. Raises InvalidInput, NotPermitted, IllegalMove, MissingRow."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.REFER, consult)
    require_panel(consult)
    if consult.status not in _AFTER:
        raise IllegalMove(f"no referral while {consult.status}")
    there = await tx.institutions.get(to_institution_id)
    if there.id == consult.institution_id:
        raise InvalidInput("to_institution_id", "the own institution")
    return await _issue(tx, consult, Direction.OUT, (consult.institution_id, there.id), reason, by)


async def refer_back(tx: ClinicTransaction, referral_id: str, reason: str, by: Actor) -> Referral:
    """The hospital that took the patient over sends them back to the clinic, once, under a number of its own.

    Raises IllegalMove (not arrived, or sent back already), NotPermitted, MissingRow.
    """
    out = await _receiving(tx, referral_id, by)
    if out.direction is not Direction.OUT or out.state is not ReferralState.ARRIVED:
        raise IllegalMove(f"no way back from {out.direction} {out.state}")
    if await tx.referrals.find(consult_id=out.consult_id, answers=out.id):
        raise IllegalMove("sent back already")
    consult = await tx.consults.get(out.consult_id)
    way = (out.to_institution_id, out.from_institution_id)
    return await _issue(tx, consult, Direction.BACK, way, reason, by, answers=out.id)


async def move_referral(tx: ClinicTransaction, referral_id: str, to: ReferralState, remark: str, by: Actor) -> Referral:
    """The receiving side accepts, declines (and says why) or notes the arrival; the issuing side withdraws.

    Raises IllegalMove, InvalidInput, NotPermitted, MissingRow.
    """
    referral = await tx.referrals.get(referral_id)
    if to is ReferralState.WITHDRAWN:
        _at_home(by, Action.REFER if referral.direction is Direction.OUT else Action.ANSWER_REFERRAL, referral)
    else:
        await _receiving(tx, referral_id, by)
    if to not in REFERRAL_MOVES[referral.state]:
        raise IllegalMove(f"referral {referral.state}->{to}")
    least = 2 if to in (ReferralState.DECLINED, ReferralState.WITHDRAWN) else 0
    said = checks.text("remark", remark, 1000, least)
    moved = replace(referral, state=to, moved_by=by.id, moved_at=tx.now, remark=said)
    await tx.referrals.save(moved)
    consult = await tx.consults.get(referral.consult_id)
    public = {"number": referral.number, "state": to.value}
    await tx.append(event(EventCode.REFERRAL_MOVED, consult, by, referral.id, public))
    return moved


async def _issue(  # noqa: PLR0917
    tx: ClinicTransaction,
    consult: Consult,
    direction: Direction,
    way: tuple[str, str],
    reason: str,
    by: Actor,
    answers: str | None = None,
) -> Referral:
    house = await tx.institutions.get(way[0])
    referral_id = uuid4().hex
    letter = "O" if direction is Direction.OUT else "B"
    referral = Referral(
        id=referral_id,
        institution_id=consult.institution_id,
        consult_id=consult.id,
        number=f"ZZ{local_date(tx.now, house.time_zone):%Y%m%d}-{letter}{referral_id[:8].upper()}",
        direction=direction,
        from_institution_id=way[0],
        to_institution_id=way[1],
        reason=checks.text("reason", reason, 1000, 2),
        state=ReferralState.ISSUED,
        issued_by=by.id,
        issued_at=tx.now,
        answers=answers,
    )
    await tx.referrals.add(referral)
    public = {"number": referral.number, "direction": direction.value, "to": way[1]}
    await tx.append(event(EventCode.REFERRAL_ISSUED, consult, by, referral.id, public))
    return referral


async def _receiving(tx: ClinicTransaction, referral_id: str, by: Actor) -> Referral:
    """Whoever takes the patient: the hospital for a way out, the clinic's own doctors for a way back."""
    referral = await tx.referrals.get(referral_id)
    if by.institution_id != referral.to_institution_id:
        raise MissingRow("referrals")
    action = Action.ANSWER_REFERRAL if referral.direction is Direction.OUT else Action.REFER
    require(by, action, Place(referral.to_institution_id))
    return referral


def _at_home(by: Actor, action: Action, referral: Referral) -> None:
    if by.institution_id != referral.from_institution_id:
        raise MissingRow("referrals")
    require(by, action, Place(referral.from_institution_id))
