"""Who presides over a panel, the order in which people speak, and whom everybody is shown (domain-rules 7, HZ-32)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import PANELS, Consult, Seat, SeatState
from clinic.errors import InvalidInput
from clinic.overlays import rules_for
from clinic.panels import quorum
from clinic.panels.errors import ChairHeld, NoQuorum, NotAPanel, NotForThem, NotPresiding
from clinic.panels.quorum import EXPERTS
from clinic.panels.room_records import PanelFloor
from clinic.panels.terms import PanelTerms, terms_of
from clinic.panels.traces import event
from clinic.people import Role
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

MOST_TURNS = 24
SILENT = frozenset({Role.OBSERVER, Role.DECLARED})  # they have no voice of their own to give the word to


def presiding(floor: PanelFloor | None, seats: Iterable[Seat]) -> str | None:
    """The seat that presides: who was handed the chair or took it, the invited chair, or the inviting doctor."""
    if floor is not None and floor.chair is not None:
        return floor.chair
    open_seats = [seat for seat in seats if seat.state is not SeatState.REMOVED]
    for role in (Role.CHAIR, Role.INVITING):
        if found := sorted((seat.created_at, seat.id) for seat in open_seats if seat.role is role):
            return found[0][1]
    return None


def heirs(
    terms: PanelTerms,
    floor: PanelFloor | None,
    here: Sequence[Seat],
    away: Mapping[str, datetime],
    *,
    chair: str | None,
    now: datetime,
) -> tuple[str, ...]:
    """Who may take the chair now; nobody while it is held (HZ-32).

    `here`: seats in the call; `away`: those of them whose connection is lost, since when. The first in the speaking
    order, else the expert who came first; and the inviting doctor.
    """
    inside = {seat.id for seat in here}
    lost_at = away.get(chair or "")
    if chair in inside and (lost_at is None or now - lost_at < terms.chair_lost):
        return ()
    there = [seat for seat in here if seat.id not in away and seat.id != chair]
    place = {seat_id: number for number, seat_id in enumerate(floor.turns if floor is not None else ())}
    experts = sorted(
        (seat for seat in there if seat.role in EXPERTS),
        key=lambda seat: (place.get(seat.id, len(place)), seat.admitted_at or seat.created_at, seat.id),
    )
    first = [experts[0].id] if experts and terms.expert_takes else []
    inviting = [seat.id for seat in there if seat.role is Role.INVITING] if terms.inviting_takes else []
    return (*first, *inviting)


def next_in_turn(floor: PanelFloor, here: Collection[str], hands: Sequence[str]) -> PanelFloor:
    """The word goes on: to the next in the order who is here, then to the first raised hand, then to nobody; asked once
    more, the order begins anew. Whoever was given the word in between does not move the order."""
    again = floor.turn >= len(floor.turns) and floor.word is None
    turn = 0 if again else floor.turn
    for number, seat_id in enumerate(floor.turns[turn:], start=turn + 1):
        if seat_id in here:
            return replace(floor, word=seat_id, turn=number)
    waiting = [seat_id for seat_id in hands if seat_id in here and seat_id != floor.word]
    return replace(floor, word=next(iter(waiting), None), turn=len(floor.turns))


async def open_panel(tx: ClinicTransaction, consult_id: str, by: Actor, here: Collection[str]) -> PanelFloor:
    """From here on it is a panel: the quorum is there, and experts who come later wait (HZ-30, HZ-33). Idempotent.

    Raises NoQuorum, NotAPanel, NotPermitted.
    """
    consult, floor, seats = await _entered(tx, consult_id, by)
    if floor.opened_at is not None:
        return floor
    terms = terms_of(rules_for(await tx.institutions.get(consult.institution_id), tx.now))
    present = [seat for seat in seats if seat.id in here]
    if lacking := quorum.missing(terms, present, presiding(floor, seats)):
        raise NoQuorum(lacking)
    opened = replace(floor, opened_at=tx.now, opened_by=by.seat_id)
    public = {"present": sorted(each.id for each in present)}
    return await _keep(tx, opened, event(EventCode.PANEL_OPENED, consult, by, consult.id, public))


async def set_order(tx: ClinicTransaction, consult_id: str, by: Actor, turns: Sequence[str]) -> PanelFloor:
    """Who speaks after whom. Raises InvalidInput, NotPresiding, NotAPanel, NotPermitted."""
    consult, floor, seats = await _presided(tx, consult_id, by)
    voices = {seat.id for seat in seats if seat.role not in SILENT and seat.state is not SeatState.REMOVED}
    if len(turns) > MOST_TURNS or len(set(turns)) != len(turns) or not set(turns) <= voices:
        raise InvalidInput("seats", "unknown, silent, or one twice")
    changed = replace(floor, turns=tuple(turns), turn=0)
    return await _keep(tx, changed, event(EventCode.PANEL_ORDERED, consult, by, consult.id, {"turns": list(turns)}))


async def give_word(
    tx: ClinicTransaction, consult_id: str, by: Actor, seat_id: str | None, here: Collection[str]
) -> PanelFloor:
    """This person speaks; None: the floor is free. Raises NotForThem, NotPresiding, NotAPanel, NotPermitted."""
    consult, floor, seats = await _presided(tx, consult_id, by)
    if seat_id is not None:
        _one_of(seat_id, [seat for seat in seats if seat.role not in SILENT and seat.id in here])
    ahead = floor.turns[floor.turn :]
    turn = floor.turn + ahead.index(seat_id) + 1 if seat_id in ahead else floor.turn
    changed = replace(floor, word=seat_id, turn=turn)
    return await _keep(tx, changed, event(EventCode.PANEL_WORD, consult, by, consult.id, {"seat": seat_id or ""}))


async def next_word(
    tx: ClinicTransaction, consult_id: str, by: Actor, here: Collection[str], hands: Sequence[str]
) -> PanelFloor:
    """The word goes on (`next_in_turn`). Raises NotPresiding, NotAPanel, NotPermitted."""
    consult, floor, _ = await _presided(tx, consult_id, by)
    changed = next_in_turn(floor, here, hands)
    return await _keep(tx, changed, event(EventCode.PANEL_WORD, consult, by, consult.id, {"seat": changed.word or ""}))


async def set_spotlight(
    tx: ClinicTransaction, consult_id: str, by: Actor, seat_id: str | None, here: Collection[str]
) -> PanelFloor:
    """Everybody is shown this person large; None: nobody. Raises NotForThem, NotPresiding, NotAPanel, NotPermitted."""
    consult, floor, seats = await _presided(tx, consult_id, by)
    if seat_id is not None:
        _one_of(seat_id, [seat for seat in seats if seat.role not in SILENT and seat.id in here])
    changed = replace(floor, spotlight=seat_id)
    return await _keep(tx, changed, event(EventCode.PANEL_SPOTLIGHT, consult, by, consult.id, {"seat": seat_id or ""}))


async def hand_over(
    tx: ClinicTransaction, consult_id: str, by: Actor, seat_id: str, here: Collection[str]
) -> PanelFloor:
    """To another expert who is here, or to the inviting doctor. Raises NotForThem, NotPresiding, NotAPanel."""
    consult, floor, seats = await _presided(tx, consult_id, by)
    fit = [seat for seat in seats if seat.role in (*EXPERTS, Role.INVITING) and seat.id in here]
    _one_of(seat_id, [seat for seat in fit if seat.id != by.seat_id])
    return await _seat_chair(tx, consult, by, floor, seats, to=seat_id, code=EventCode.CHAIR_HANDED)


async def take_chair(tx: ClinicTransaction, consult_id: str, by: Actor, allowed: Collection[str]) -> PanelFloor:
    """The chair is lost and this seat is one that may take over (`heirs`). Raises ChairHeld, NotAPanel."""
    consult = await _panel(tx, consult_id)
    await authorise(tx, by, Action.TAKE_CHAIR, consult)
    floor, seats = await _floor(tx, consult), await tx.seats.find(consult_id=consult.id)
    if by.seat_id is None or by.seat_id not in allowed:
        raise ChairHeld
    return await _seat_chair(tx, consult, by, floor, seats, to=by.seat_id, code=EventCode.CHAIR_TAKEN)


async def late(tx: ClinicTransaction, consult: Consult, seat: Seat, terms: PanelTerms) -> bool:
    """An expert who comes for the first time after the panel opened waits to be let in (HZ-33)."""
    if seat.role not in EXPERTS or consult.kind not in PANELS or seat.admitted_at is not None or not terms.late_wait:
        return False
    floors = await tx.panel_floors.find(consult_id=consult.id)
    return any(floor.opened_at is not None for floor in floors)


async def _seat_chair(
    tx: ClinicTransaction,
    consult: Consult,
    by: Actor,
    floor: PanelFloor,
    seats: Sequence[Seat],
    *,
    to: str,
    code: EventCode,
) -> PanelFloor:
    """The seat's role follows the chair: what the role table gives a chair goes over with it."""
    before = presiding(floor, seats)
    for seat in seats:
        if seat.role is Role.CHAIR and seat.id != to:
            await tx.seats.save(replace(seat, role=Role.EXPERT))
        elif seat.role is Role.EXPERT and seat.id == to:
            await tx.seats.save(replace(seat, role=Role.CHAIR))
    changed = replace(floor, chair=to, chair_since=tx.now)
    return await _keep(tx, changed, event(code, consult, by, consult.id, {"from": before or "", "to": to}))


async def _panel(tx: ClinicTransaction, consult_id: str) -> Consult:
    consult = await tx.consults.get(consult_id)
    if consult.kind not in PANELS:
        raise NotAPanel
    return consult


async def _entered(tx: ClinicTransaction, consult_id: str, by: Actor) -> tuple[Consult, PanelFloor, Sequence[Seat]]:
    consult = await _panel(tx, consult_id)
    await authorise(tx, by, Action.PRESIDE, consult)
    return consult, await _floor(tx, consult), await tx.seats.find(consult_id=consult.id)


async def _presided(tx: ClinicTransaction, consult_id: str, by: Actor) -> tuple[Consult, PanelFloor, Sequence[Seat]]:
    consult, floor, seats = await _entered(tx, consult_id, by)
    if by.seat_id is None or presiding(floor, seats) != by.seat_id:
        raise NotPresiding
    return consult, floor, seats


async def _floor(tx: ClinicTransaction, consult: Consult) -> PanelFloor:
    try:
        return await tx.panel_floors.get(consult.id)
    except MissingRow:
        return PanelFloor(consult.id, consult.institution_id, consult.id)


async def _keep(tx: ClinicTransaction, floor: PanelFloor, traced: AuditEvent) -> PanelFloor:
    if await tx.panel_floors.find(consult_id=floor.consult_id):
        await tx.panel_floors.save(floor)
    else:
        await tx.panel_floors.add(floor)
    await tx.append(traced)
    return floor


def _one_of(seat_id: str, seats: Iterable[Seat]) -> None:
    if seat_id not in {seat.id for seat in seats}:
        raise NotForThem
