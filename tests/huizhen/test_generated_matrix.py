"""Every route for every role, in a consult of one's own, in another one of the house, and from another institution.

What is expected is computed from the role table and the seats; nothing is listed by hand but the few routes whose own
rule is narrower or wider than the table's row, each with its reason.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking
from clinic.access import behind_glass
from clinic.actor import Actor
from clinic.consult import Seat
from clinic.people import Role
from clinic.roles import Action, Place, permits, resolve
from huizhen.api.route import Door, Own, Route
from huizhen.api.table import ROUTES
from tests.huizhen.bodies import sample
from tests.huizhen.shelf import archived
from tests.huizhen.test_uploads import send
from tests.huizhen.things import (
    asking,
    cooperation,
    facts,
    glass,
    his_client,
    hours,
    imaged,
    ledger,
    notice,
    outcome,
    requested,
    signed,
    uploaded,
)
from tests.huizhen.world import ROLES, Booked, Browser, World

_IN_CONSULT = frozenset(
    {Own.CONSULT, Own.CONSULT_SEAT, Own.EVIDENCE_FILE, Own.CONSENT_RECORD, Own.NOTICE, Own.PROPOSAL, Own.TASK}
)
_ENDS_THE_LOGIN = frozenset({"/api/logout"})
_SLOW = frozenset({"/api/audit/verify"})
_BY_ACCOUNT = frozenset({Action.BREAK_GLASS})  # no seat is needed: that is its point
# Routes whose own rule is not the row alone: who keeps the book reads a consult without its chart; papers belong to
# the one who wrote them; a signature to the author.
_OTHERWISE: dict[tuple[str, str], str] = {
    ("GET", "/api/consults/{consult}"): "without the chart for those who keep the book",
    ("POST", "/api/consults/{consult}/ticket"): "a seat of one's own",
    ("POST", "/api/consults/{consult}/device-token"): "a seat of one's own",
    ("POST", "/api/consults/{consult}/seats/{seat}/link"): "only for patients and guests",
    ("GET", "/api/requests/{panel}"): "its words: coordinators, the doctor who asks, the experts who were asked",
}
# The body that is sent accepts the referral, which is the receiving side's.
_OF_ONE_SIDE = {"/api/referrals/{referral}/move": (Action.ANSWER_REFERRAL,)}
# What an open emergency access shows: the chart, its papers and why the consult may not open.
_BEHIND_GLASS = frozenset(
    {
        "/api/consults/{consult}",
        "/api/consults/{consult}/evidence-files",
        "/api/consults/{consult}/evidence-files/{file}",
        "/api/consults/{consult}/admission",
    }
)
_OWN_PAPER = frozenset({Action.SIGN_NOTE, Action.SIGN_OPINION})  # it belongs to whoever wrote it
_OF_A_CHILD = {Action.SEE_CHART, Action.ADD_EVIDENCE, Action.ASK_HOLD}  # a guardian may until the child is of age
_GUESTS = (Role.GUARDIAN, Role.FAMILY, Role.INTERPRETER, Role.OBSERVER)


@dataclass(frozen=True, slots=True)
class Things:
    """Ids of one of each kind."""

    ids: dict[str, str]
    booked: Booked
    patient: Browser


async def _own(world: World, house: str) -> Things:
    booked = await world.book(house)
    patient = await world.patient(booked)
    ids = {
        "consult": booked.consult.id,
        "seat": booked.patient.id,
        "file": await uploaded(patient),
        "record": await signed(patient),
        "notice": await notice(world, booked),
        **(await imaged(world, booked) if house == "city" else {}),
    }
    return Things(ids, booked, patient)


async def _seats(world: World, booked: Booked) -> None:
    """Everybody of the house with a clinical role sits in this consult."""
    house = world.houses["city"]
    async with world.db.begin() as tx:
        for role in (Role.INVITING, Role.EXPERT, Role.CHAIR, Role.NURSE):
            seat = replace(booked.doctor, id=uuid4().hex, role=role, person_id=house.staff[role].id)
            await tx.seats.add(seat)
            await tx.append(AuditEvent(EventCode.SEAT_ADDED, seat.institution_id, "system", seat.consult_id, seat.id))


async def _handed_over(world: World, booked: Booked) -> None:
    """A consult in which nobody of the tested accounts sits: its doctor is somebody else."""
    async with world.db.begin() as tx:
        consult, seat = await tx.consults.get(booked.consult.id), await tx.seats.get(booked.doctor.id)
        other = world.houses["city"].second_approver
        assert other is not None
        await tx.consults.save(replace(consult, doctor_id=other.id, created_by=other.id))
        await tx.seats.save(replace(seat, person_id=other.id))
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, consult.institution_id, "system", consult.id, seat.id))


async def _common(world: World, booked: Booked) -> dict[str, str]:
    """Things that belong to the house, not to a consult."""
    house = world.houses["city"]
    return {
        "staff": house.staff[Role.ATTENDING].id,
        "patient": house.patient.id,
        "institution": house.institution.id,
        "invitation": uuid4().hex,
        "glass": await glass(world, booked.consult.id),
        "slot": await hours(world),
        "client": await his_client(world),
        **await facts(world),
        **await ledger(world),
        **await archived(world),
        **await asking(world, booked.consult.id),
        **await outcome(world, booked.consult.id),
        **await requested(world, booked.consult.id),
        "cooperation": await cooperation(world),
    }


async def _ask(browser: Browser, route: Route[Any], ids: dict[str, str]) -> tuple[int, str]:
    path = route.path
    for name in route.parameters:
        path = path.replace(f"{{{name}}}", ids[name])
    if "segments" in path:
        path += f"?view={uuid4().hex}"
    if route.raw:
        reply = await send(browser, path, b"not a picture", method=route.method)
    else:
        reply = await browser.call(route.method, path, sample(route) if route.mutates else None)
    if reply.status < 400:
        return reply.status, "ok"
    if route.policy.door is Door.RECORDS:
        return reply.status, str(reply.body["issue"][0]["details"]["coding"][0]["code"])
    return reply.status, str(reply.body["code"])


async def _expected(world: World, role: Role, route: Route[Any], booked: Booked) -> bool:
    """Whether the table lets this account do it in this consult."""
    staff = world.houses["city"].staff[role]
    if not route.policy.admits(staff.roles):
        return False
    by_table = _OF_ONE_SIDE.get(route.path, route.policy.actions)
    if not any(permits(each, action) for each in staff.roles for action in by_table):
        return False
    if route.policy.own not in _IN_CONSULT:
        return True
    async with world.db.read() as tx:
        consult = await tx.consults.get(booked.consult.id)
        seats = await tx.seats.find(consult_id=consult.id, person_id=staff.id)
        glass = await behind_glass(tx, Actor.staff(staff), consult)
    if glass is not None and not route.mutates and route.path in _BEHIND_GLASS:
        return True
    owners = frozenset({consult.patient_id, consult.doctor_id})
    if set(route.policy.actions) & _OWN_PAPER:
        owners |= {staff.id}
    place = Place(consult.institution_id, consult.id, owners, seats[0] if seats else None, open=not consult.over)
    for action in route.policy.actions:
        if action in _BY_ACCOUNT or resolve(Actor.staff(staff), action, place) is not None:
            return True
    return False


async def test_staff_on_every_route_everywhere(world: World) -> None:
    own, other = await _own(world, "city"), await _own(world, "city")
    await _seats(world, own.booked)
    await _handed_over(world, other.booked)
    common = await _common(world, other.booked)
    asked = 0
    wrong: list[tuple[object, ...]] = []
    for role in ROLES:
        at_home, abroad = await world.staff("city", role), await world.staff("county", role)
        for route in ROUTES:
            if route.policy.door is not Door.STAFF or route.path in _ENDS_THE_LOGIN | _SLOW:
                continue
            where = (role.value, route.method, route.path)
            for place, things in (("own", own), ("other", other)):
                status, code = await _ask(at_home, route, common | things.ids)
                asked += 1
                about = other if route.policy.own is Own.TASK else things  # the one task there is
                allowed = await _expected(world, role, route, about.booked)
                if not allowed and (route.method, route.path) not in _OTHERWISE:
                    good = (status, code) == (403, _refusal(role, route))
                elif not allowed:
                    good = status < 500
                else:
                    good = status not in (401, 500) and (
                        code != "access.denied" or (route.method, route.path) in _OTHERWISE or _narrower(route)
                    )
                if not good:
                    wrong.append((*where, place, status, code))
            if not route.parameters or route.policy.own is Own.DIRECTORY:
                continue
            theirs = await _ask(abroad, route, common | own.ids)
            missing = await _ask(abroad, route, dict.fromkeys(common | own.ids, uuid4().hex))
            asked += 2
            admitted = route.policy.admits(world.houses["county"].staff[role].roles)
            if theirs != missing or theirs != ((404, "not_found") if admitted else (403, "access.denied")):
                wrong.append((*where, "abroad", theirs, missing))
    assert wrong == [], "\n".join(map(str, wrong))
    print(f"{asked} combinations of staff, route and place")
    assert asked > 1000


def _refusal(role: Role, route: Route[Any]) -> str:
    """A regulator who may by the table, and has no case for it, is told so. Where the patient is, no case opens."""
    cases = role is Role.REGULATOR and route.policy.admits((role,)) and not route.path.endswith("/whereabouts")
    return "regulator.no_case" if cases else "access.denied"


def _narrower(route: Route[Any]) -> bool:
    """Acts on a paper belong to whoever wrote it, acts on a case to the doctor who asked for it."""
    return any(
        action in route.policy.actions
        for action in (Action.SIGN_NOTE, Action.SIGN_OPINION, Action.WRITE_OPINION, Action.SIGN_DECISION, Action.EXPORT)
    ) or route.path.startswith("/api/archive/")


async def _guests(world: World, things: Things) -> dict[Role, tuple[Seat, Browser]]:
    found: dict[Role, tuple[Seat, Browser]] = {Role.PATIENT: (things.booked.patient, things.patient)}
    booked = things.booked
    doctor = Actor.staff(world.houses["city"].staff[Role.ATTENDING])
    for role in _GUESTS:
        async with world.db.begin() as tx:
            seat = await booking.add_guest(tx, booked.consult.id, booking.NewGuest(role, "某某", "家属"), doctor)
            issued = await world.parts.services.link_door.issue(tx, seat, doctor.id)
        found[role] = (seat, await world.patient(replace(booked, secret=issued.secret)))
    return found


async def test_patients_and_guests_on_every_route(world: World) -> None:
    own, other = await _own(world, "city"), await _own(world, "county")
    nobody, asked = await world.browser(), 0
    wrong: list[tuple[object, ...]] = []
    people = await _guests(world, own)
    mine = {name: own.ids[name] for name in ("file", "record")}
    everything = dict.fromkeys(
        {name for route in ROUTES for name in route.parameters}, own.ids["consult"]
    )  # a staff route is refused before anything is looked for
    for role, (seat, browser) in people.items():
        for route in ROUTES:
            if route.policy.door in (Door.PUBLIC, Door.SCRAPE):
                continue
            where = (role.value, route.method, route.path)
            if route.policy.door in (Door.STAFF, Door.RECORDS):
                answers = [await _ask(browser, route, everything), await _ask(nobody, route, everything)]
                asked += 2
                if answers != [(401, "session.required")] * 2:
                    wrong.append((*where, answers))
                continue
            status, code = await _ask(browser, route, everything | mine)
            asked += 1
            owners = frozenset({own.booked.consult.patient_id, seat.id} if role is not Role.GUARDIAN else {seat.id})
            allowed = any(
                permits(role, action)
                and resolve(Actor.seated(seat), action, Place(seat.institution_id, seat.consult_id, owners, seat, True))
                for action in route.policy.actions
            )
            if role is Role.GUARDIAN and set(route.policy.actions) <= _OF_A_CHILD:
                allowed = False  # the patient of this consult is of age
            if (code == "access.denied") is allowed or status in (401, 500):
                wrong.append((*where, status, code))
            if route.parameters:
                theirs, missing = (
                    await _ask(browser, route, everything | other.ids),
                    await _ask(browser, route, everything | {name: uuid4().hex for name in mine}),
                )
                asked += 2
                admitted = route.policy.admits((role,))
                if theirs != missing or theirs != ((404, "not_found") if admitted else (403, "access.denied")):
                    wrong.append((*where, "other", theirs, missing))
    assert wrong == [], "\n".join(map(str, wrong))
    print(f"{asked} combinations of patient or guest, route and place")
    assert asked > 200


def test_every_route_behind_a_door_names_its_action() -> None:
    for route in ROUTES:
        if route.policy.door in (Door.STAFF, Door.SEAT, Door.RECORDS):
            assert route.policy.actions, route.path
            assert any(permits(role, action) for action in route.policy.actions for role in Role), route.path
    own_page = {(r.method, r.path) for r in ROUTES if r.policy.actions == (Action.OWN_PAGE,) and r.mutates}
    assert own_page == {("POST", "/api/seat/identity"), ("POST", "/api/seat/device-check")}, "name the action"
