"""Hospital systems: entered by the administrator, opened to patients by who registers them, ended for good."""

import pytest

from audit.errors import MissingRow
from clinic import access, clients, registration
from clinic.actor import Actor
from clinic.clients import HisClient
from clinic.consult import Consult
from clinic.errors import IllegalMove, InvalidInput, NotPermitted
from clinic.people import Role
from tests.support.builders import World, patient


async def entered(world: World) -> HisClient:
    async with world.db.begin() as tx:
        return await clients.enter(tx, "HIS", Actor.staff(world.admin))


async def change(world: World, client: HisClient, *patient_ids: str, open_now: bool = True) -> None:
    act = clients.open_to if open_now else clients.close_to
    async with world.db.begin() as tx:
        await act(tx, client.id, patient_ids, Actor.staff(world.nurse))


async def look(world: World, client: HisClient, consult: Consult) -> access.Chart:
    async with world.db.begin() as tx:
        return await access.view_chart(tx, clients.actor_of(client), consult.id)


async def test_a_client_reads_the_patients_opened_to_it_and_only_them(world: World) -> None:
    client = await entered(world)
    consult = (await world.book()).consult
    with pytest.raises(NotPermitted):
        await look(world, client, consult)
    await change(world, client, world.patient.id)
    assert (await look(world, client, consult)).patient.id == world.patient.id
    viewed = world.db.events[-1]
    assert (viewed.code, viewed.actor_id) == ("view.chart", client.id)
    await change(world, client, world.patient.id, open_now=False)
    with pytest.raises(NotPermitted):
        await look(world, client, consult)
    assert [event.public["open"] for event in world.db.events if event.code == "client.scoped"] == [True, False]


async def test_opening_twice_is_one_row_and_closing_what_is_closed_is_none(world: World) -> None:
    client = await entered(world)
    await change(world, client, world.patient.id, world.patient.id)
    await change(world, client, world.patient.id)
    async with world.db.begin() as tx:
        other = await registration.create_patient(tx, patient(world.home.id, name="李四"), world.system)
    await change(world, client, other.id, open_now=False)
    assert [row.patient_id for row in world.db.rows("client_scopes")] == [world.patient.id]


async def test_another_house_has_no_consult_for_it_and_no_patient(world: World) -> None:
    async with world.db.begin() as tx:
        boss = await registration.create_staff(
            tx,
            registration.NewStaff(world.partner.id, "boss", "赵", (Role.ADMIN,), "科长", None),
            Actor.system(world.partner.id),
        )
        abroad = await clients.enter(tx, "HIS", Actor.staff(boss))
        stranger = await registration.create_patient(tx, patient(world.partner.id), Actor.system(world.partner.id))
    consult = (await world.book()).consult
    with pytest.raises(MissingRow):
        await look(world, abroad, consult)
    with pytest.raises(MissingRow):
        await change(world, await entered(world), stranger.id)
    with pytest.raises(MissingRow):
        await change(world, abroad, stranger.id)


async def test_who_may_enter_open_and_end(world: World) -> None:
    client = await entered(world)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await clients.enter(tx, "HIS", Actor.staff(world.nurse))
    with pytest.raises(NotPermitted):  # who keeps the accounts does not say whose records are read
        async with world.db.begin() as tx:
            await clients.open_to(tx, client.id, [world.patient.id], Actor.staff(world.admin))
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await clients.living(tx, client.id, Actor.staff(world.nurse))
    for wanted in ([], [f"{n:032x}" for n in range(clients.LARGEST + 1)]):
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await clients.open_to(tx, client.id, wanted, Actor.staff(world.nurse))
    async with world.db.begin() as tx:
        ended = await clients.end(tx, client.id, Actor.staff(world.admin))
    assert ended.ended_by == world.admin.id
    with pytest.raises(IllegalMove):
        await change(world, client, world.patient.id)


async def test_the_servers_own_jobs_read_no_chart(world: World) -> None:
    """They carry the same role, and no patient is opened to them."""
    consult = (await world.book()).consult
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await access.view_chart(tx, world.system, consult.id)
