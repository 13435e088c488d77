"""A panel in writing over REST: the village doctor's one device, the experts' answers, opinions, decision, close."""

from dataclasses import replace
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.panels.records import InvitationState
from clinic.people import Role
from huizhen import chores
from tests.huizhen.panel import EXPERTS, accept, agreed, asked, drafted, send
from tests.huizhen.world import World


async def test_a_consult_without_a_call(world: World) -> None:
    panel = await drafted(world)
    path, village = panel.path, panel.village
    early = await village.post(f"{path}/written", reason="不需要视频")
    assert (early.status, early.code) == (403, "consent.missing")
    await agreed(world, panel)
    assert (await panel.patient.get("/api/seat")).body["consult"]["in_writing"] is False  # not asked for yet
    assert (await send(world, panel)).status == 200
    waiting = await village.post(f"{path}/written", reason="不需要视频")
    assert waiting.status == 200, waiting.body
    assert (waiting.body["status"], waiting.body["written"]["begun_at"]) == ("scheduled", None)
    assert (await panel.patient.get("/api/seat")).body["consult"]["in_writing"] is True
    nobody = await village.post(f"{path}/written/begin")
    assert (nobody.status, nobody.code) == (409, "visit.nobody_takes_part")
    doors = [await world.staff("city", role) for role in EXPERTS]
    for door in doors:
        await accept(door)
    begun = (await village.get(path)).body
    assert (begun["status"], begun["written"]["begun_at"] is None) == ("concluding", False)
    assert [row["id"] for row in (await village.get("/api/today")).body["items"]] == [panel.booked.consult.id]
    for door in doors:
        assert (await door.get(path)).body["case"]["summary"] == "皮疹两周，附照片"
        assert (await door.put(f"{path}/opinion", text="考虑湿疹", dissent=False)).status == 200
        signed = await door.post(f"{path}/opinion/sign")
        assert signed.status == 200, signed.body
    assert (await doors[0].put(f"{path}/report", conclusion="湿疹", advice="外用药")).status == 200
    assert (await doors[0].post(f"{path}/report/sign")).status == 200
    decided = await village.put(f"{path}/decision", adoption="adopt", reason="同意", treatment="外用药")
    assert decided.status == 200, decided.body
    assert (await village.post(f"{path}/decision/sign")).status == 200
    closed = await village.post(f"{path}/close")
    assert (closed.status, closed.body["status"]) == (200, "closed"), closed.body
    codes = [event.code for event in await world.events("county")]
    assert "panel.in_writing" in codes
    assert "room.joined" not in codes


async def uninvited(world: World, consult_id: str) -> None:
    """As a stand-in is, who took an opinion over: a seat, and no invitation."""
    async with world.db.begin() as tx:
        for row in await tx.invitations.find(consult_id=consult_id):
            await tx.invitations.save(replace(row, state=InvitationState.RELEASED))
        house = world.houses["county"].institution.id
        await tx.append(AuditEvent(EventCode.CASE_REQUESTED, house, "system", consult_id))


async def test_who_is_not_shared_with_any_more_writes_and_signs_nothing_new(world: World) -> None:
    panel = await asked(world)
    await panel.village.post(f"{panel.path}/written", reason="不需要视频")
    doors = [await world.staff("city", role) for role in EXPERTS]
    for door in doors:
        await accept(door)
    for door in doors:
        assert (await door.put(f"{panel.path}/opinion", text="考虑湿疹", dissent=False)).status == 200
    assert (await doors[0].post(f"{panel.path}/opinion/sign")).status == 200
    assert (await panel.patient.post("/api/seat/consent/withdraw", purposes=["share_panel"])).status == 200
    signing = await doors[1].post(f"{panel.path}/opinion/sign")
    assert (signing.status, signing.code) == (403, "opinion.sharing_withdrawn")
    writing = await doors[1].put(f"{panel.path}/opinion", text="改", dissent=False)
    assert (writing.status, writing.code) == (403, "opinion.sharing_withdrawn")
    denied = [event.outcome for event in await world.events("county") if event.code == EventCode.ACCESS_DENIED]
    assert denied.count("opinion.sharing_withdrawn") == 2
    async with world.db.read() as tx:
        signed = [row for row in await tx.opinions.find(consult_id=panel.booked.consult.id) if row.signed_at]
    assert [row.expert_id for row in signed] == [world.houses["city"].staff[EXPERTS[0]].id]
    outcome = (await panel.village.get(panel.path)).body["outcome"]
    assert (outcome["released"], outcome["owed"], outcome["missing"]) == (
        [world.houses["city"].institution.name],
        [],
        ["decision"],
    )
    masked = await doors[1].get(panel.path)
    assert (masked.status, masked.body["case"], masked.body["reason"]) == (200, None, "")
    await uninvited(world, panel.booked.consult.id)
    shut = await doors[1].get(panel.path)
    assert (shut.status, shut.code) == (403, "opinion.sharing_withdrawn"), "why, not merely that"
    assert (await doors[1].get("/api/today")).status == 200
    reporting = await doors[0].put(f"{panel.path}/report", conclusion="湿疹")
    assert (reporting.status, reporting.code) == (403, "opinion.sharing_withdrawn")
    decision = {"adoption": "partly", "reason": "患者停止共享", "treatment": "外用药，三日后复诊"}
    assert (await panel.village.put(f"{panel.path}/decision", **decision)).status == 200
    assert (await panel.village.post(f"{panel.path}/decision/sign")).status == 200
    closed = await panel.village.post(f"{panel.path}/close")
    assert (closed.status, closed.body["status"]) == (200, "closed"), closed.body


async def test_the_doctor_need_not_wait_for_everybody(world: World) -> None:
    panel = await asked(world)
    assert (await panel.village.post(f"{panel.path}/written", reason="专家已接受")).body["status"] == "scheduled"
    await accept(await world.staff("city", Role.CHAIR))
    begun = await panel.village.post(f"{panel.path}/written/begin")
    assert begun.body["status"] == "concluding"
    again = await panel.village.post(f"{panel.path}/written/begin")
    assert (again.status, again.code) == (409, "visit.illegal_move")
    other = await world.staff("city", Role.EXPERT)
    assert (await other.get("/api/today")).body["invitations"] == []  # released: not waited for


async def another_asked(world: World, consult_id: str) -> None:
    """A row of a second institution that has not answered."""
    async with world.db.begin() as tx:
        (request,) = await tx.panel_requests.find(consult_id=consult_id)
        (party,) = await tx.invited_parties.find(consult_id=consult_id)
        await tx.panel_requests.save(replace(request, wanted=2))
        await tx.invited_parties.add(replace(party, id=uuid4().hex, rank=2, case_id="another"))
        await tx.append(AuditEvent(EventCode.CASE_REQUESTED, request.institution_id, "system", consult_id))


async def test_an_institution_that_still_thinks_is_not_waited_for(world: World) -> None:
    panel = await asked(world)
    consult_id = panel.booked.consult.id
    await another_asked(world, consult_id)
    await panel.village.post(f"{panel.path}/written", reason="不需要视频")
    await accept(await world.staff("city", Role.CHAIR))
    assert (await panel.village.post(f"{panel.path}/written/begin")).body["status"] == "concluding"
    async with world.db.read() as tx:
        (request,) = await tx.panel_requests.find(consult_id=consult_id)
        states = {row.state for row in await tx.invited_parties.find(consult_id=consult_id)}
    assert (request.state, states) == ("convened", {"accepted", "released"})


async def test_the_end_of_the_time_to_answer_begins_it(world: World) -> None:
    """A second institution was asked and says nothing: it is let go, and those who accepted begin."""
    panel = await asked(world)
    consult_id = panel.booked.consult.id
    await another_asked(world, consult_id)
    await panel.village.post(f"{panel.path}/written", reason="不需要视频")
    for role in EXPERTS:
        await accept(await world.staff("city", role))
    async with world.db.read() as tx:
        assert (await tx.consults.get(consult_id)).status == "scheduled"
    world.clock.advance(hours=49)
    assert await chores.follow_requests(world.parts.services) == 1
    async with world.db.read() as tx:
        assert (await tx.consults.get(consult_id)).status == "concluding"
        states = {row.state for row in await tx.invited_parties.find(consult_id=consult_id)}
    assert states == {"accepted", "expired"}
