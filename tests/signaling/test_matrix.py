"""Every socket event for every role, on the own room, another room and from another institution: as the table says."""

from dataclasses import replace
from itertools import product
from typing import Any, Literal, get_args, get_origin
from uuid import uuid4

import pytest

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import Seat, SeatState
from clinic.people import Role
from clinic.roles import VISIT_ROLES, Place, permits, resolve
from consent.records import Purpose
from signaling.handlers import HANDLERS
from signaling.messages import EVENTS, Message, Mutation
from tests.signaling.ward import Ward, book, ward
from tests.support.session_client import SessionClient

PLACES = ("own", "other room", "other institution")
ROLES = tuple(role for role in Role if role in VISIT_ROLES)
# What the table permits and the event still refuses, with the reason.
NARROWER = {
    ("consent.withdraw", Role.NURSE): "the event withdraws the caller's own; a nurse enters those of others",
    ("guest.invite", Role.GUARDIAN): "guardians act for a child; the ward's patient is of age",
}
_GIVEN: dict[str, Any] = {
    "op": "",
    "v": 1,
    "sdp": "v=0",
    "sources": {},
    "demands": [],
    "seats": [],
    "purposes": ["rec_av"],
    "reason_code": "emergency",
    "display_name": "某某",
    "relation": "女儿",
    "text": "您好",
    "instance": "0" * 32,
    "epoch": "",
    "x": 1.5,
    "y": 2.5,
}


def body_of(model: type[Message], target: str) -> dict[str, Any]:
    """A body that passes: required fields by name, by the first of their choices, or by type."""
    body: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if not field.is_required():
            continue
        kind = field.annotation
        if name == "op":
            body[name] = uuid4().hex
        elif name == "seat":
            body[name] = target
        elif name in _GIVEN:
            body[name] = _GIVEN[name]
        elif get_origin(kind) is Literal:
            body[name] = get_args(kind)[0]
        else:
            body[name] = {bool: False, int: 0}.get(kind, "x")  # type: ignore[arg-type]
    return body


async def seated(made: Ward, role: Role, *, abroad: bool) -> Seat:
    """The visit's own seat of the role, or a further one, admitted."""
    known = next(
        (seat for seat in made.seats.values() if seat.role is role and seat.consult_id == made.consult.id), None
    )
    async with made.db.begin() as tx:
        if known is None or abroad:
            known = replace(
                known or made.seats["daughter"],
                id=uuid4().hex,
                role=role,
                person_id=None if role is not Role.PATIENT else made.consult.patient_id,
                home_institution_id="elsewhere" if abroad else made.consult.institution_id,
                state=SeatState.EXPECTED,
            )
            if abroad:
                house = await tx.institutions.get(made.consult.institution_id)
                if not await tx.institutions.find(id="elsewhere"):
                    await tx.institutions.add(replace(house, id="elsewhere"))
                    await tx.append(AuditEvent(EventCode.INSTITUTION_CREATED, "elsewhere", "system"))
            await tx.seats.add(known)
            await tx.append(
                AuditEvent(EventCode.SEAT_ADDED, known.institution_id, "system", known.consult_id, known.id)
            )
    made.seats["tried"] = known
    return known


async def inside(made: Ward, seat: Seat, *, join: bool) -> SessionClient:
    """In the call, as far as consent and the doctor let them."""
    name = next(name for name, each in made.seats.items() if each.id == seat.id)
    page = made.page(name)
    if name != "tried" or seat.role in (Role.ATTENDING, Role.PATIENT):
        page = SessionClient(made.live, seat, f"device-of-{name}")
    await made.sign("tried", permitted=(Purpose.TREAT, Purpose.REC_AV, Purpose.SHARE_PANEL))
    if join:
        await page.join()
    return page


async def one(event: str, role: Role, place: str) -> tuple[dict[str, Any], Ward, Seat]:
    made = await ward()
    if place == "other room":
        mine = dict(made.seats)
        await book(made, made.consult.patient_id)
        target = made.seats["daughter"].id
        made.seats = mine
    else:
        target = made.seats["daughter"].id
    await made.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV, Purpose.SHARE_PANEL))
    doctor = made.page("doctor")
    assert (await doctor.join())["ok"]
    seat = await seated(made, role, abroad=place == "other institution")
    page = await inside(made, seat, join=event != "join")
    if seat.role is not Role.ATTENDING and event != "join":
        await doctor.act("admit", seat=seat.id)
    if event == "join":
        ack = await page.join()
    else:
        ack = await page.emit(event, **body_of(EVENTS[event], target))
    await made.drain()
    return ack, made, seat


@pytest.mark.parametrize("event", sorted(EVENTS))
async def test_every_event_for_every_role(event: str) -> None:
    action, asked, wrong = HANDLERS[event].action, 0, []
    for role, place in product(ROLES, PLACES):
        ack, made, seat = await one(event, role, place)
        asked += 1
        code = "ok" if ack["ok"] else ack["code"]
        row = next(each for each in made.db.rows("seats") if each.id == seat.id)
        where = Place(
            made.consult.institution_id, made.consult.id, frozenset({seat.id, row.person_id or seat.id}), row, True
        )
        denied = [each for each in made.db.events if each.code is EventCode.ACCESS_DENIED]
        if not permits(role, action):
            if code != "access.denied" or [str(each.public["action"]) for each in denied][-1:] != [action.value]:
                wrong.append((role, place, code, "expected a refusal on record"))
        elif (event, role) in NARROWER or resolve(Actor.seated(row), action, where) is None:
            if code not in ("access.denied", "session.not_joined"):
                wrong.append((role, place, code, "expected a refusal"))
        elif code in ("access.denied", "session.malformed", "server.internal", "input.invalid"):
            wrong.append((role, place, code, "expected to pass the table"))
        elif place == "other room" and "seat" in EVENTS[event].model_fields and code == "ok":
            wrong.append((role, place, code, "another room's seat"))
    assert wrong == []
    assert asked == len(ROLES) * len(PLACES)
    print(f"{event}: {asked} combinations")


def test_no_event_is_without_a_row() -> None:
    assert set(HANDLERS) == set(EVENTS)
    assert all(any(permits(role, handler.action) for role in ROLES) for handler in HANDLERS.values())
    assert all("op" in model.model_fields for model in EVENTS.values() if issubclass(model, Mutation))
