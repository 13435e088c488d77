"""The staff door."""

from clinic.roles import Action
from huizhen.api.call import STAFF_COOKIE, Call
from huizhen.api.route import Own, Route, Table, Unit, public, staff
from huizhen.api.shapes.base import Accepted, LooseBody, NoBody
from huizhen.api.shapes.session import HouseCard, LoggedIn, Login, Me, StaffCard, SteppedUp, StepUp


async def login(call: Call[Login]) -> LoggedIn:
    former = call.request.cookies.get(STAFF_COOKIE)
    opened = await call.services.staff_door.login(call.body.login, call.body.password, call.source, former)
    call.set_cookie(STAFF_COOKIE, opened.cookie, int(call.services.settings.session_hours * 3600))
    return LoggedIn(csrf=opened.caller.csrf)


async def logout(call: Call[LooseBody]) -> Accepted:
    await call.services.staff_door.logout(call.request.cookies[STAFF_COOKIE], call.staff)
    call.drop_cookie(STAFF_COOKIE)
    return Accepted()


async def me(call: Call[NoBody]) -> Me:
    person, house = call.me, await call.tx.institutions.get(call.me.institution_id)
    return Me(
        staff=StaffCard(
            id=person.id,
            name=person.name,
            name_en=person.name_en,
            title=person.title,
            roles=list(person.roles),
            department=person.department,
        ),
        institution=HouseCard(
            id=house.id,
            name=house.name,
            name_en=house.name_en,
            short_name=house.short_name,
            phone=house.phone,
            time_zone=house.time_zone,
        ),
        csrf=call.staff.csrf,
        step_up_until=call.services.staff_door.step_up_until(call.staff, call.now),
    )


async def step_up(call: Call[StepUp]) -> SteppedUp:
    until = await call.services.staff_door.step_up(call.staff, call.body.password, call.source)
    return SteppedUp(step_up_until=until)


ROUTES: Table = (
    Route(
        method="POST",
        path="/api/login",
        handler=login,
        policy=public(),
        body=Login,
        answer=LoggedIn,
        unit=Unit.NONE,
        summary="Sign in",
    ),
    Route(
        method="POST",
        path="/api/logout",
        handler=logout,
        policy=staff(Action.OWN_SESSION, own=Own.SELF),
        body=LooseBody,
        answer=Accepted,
        unit=Unit.NONE,
        summary="Sign out",
    ),
    Route(
        method="GET",
        path="/api/me",
        handler=me,
        policy=staff(Action.OWN_SESSION, own=Own.SELF),
        answer=Me,
        summary="Who is signed in",
    ),
    Route(
        method="POST",
        path="/api/step-up",
        handler=step_up,
        policy=staff(Action.OWN_SESSION, own=Own.SELF),
        body=StepUp,
        answer=SteppedUp,
        unit=Unit.NONE,
        summary="Repeat the password before a dangerous act",
    ),
)
