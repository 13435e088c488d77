"""A panel in writing over REST: the village doctor's one device, the experts' answers, opinions, decision, close."""

from clinic.consult import ConsultKind
from clinic.people import Role
from tests.huizhen.world import World, sign


async def test_a_consult_without_a_call(world: World) -> None:
    booked = await world.book("county", ConsultKind.EXPERT_CONSULT)
    path, city = f"/api/consults/{booked.consult.id}", world.houses["city"]
    village = await world.staff("county", Role.INVITING)
    early = await village.post(f"{path}/written", reason="不需要视频")
    assert (early.status, early.code) == (403, "consent.missing")
    chair, expert = city.staff[Role.CHAIR], city.staff[Role.EXPERT]
    case = {"reason": "皮疹待查", "aim": "明确诊断", "summary": "皮疹两周，附照片", "wanted_specialty": "皮肤科"}
    asked = await village.post(
        f"{path}/case",
        invited_institution_id=city.institution.id,
        expert_ids=[chair.id, expert.id],
        chair_id=chair.id,
        **case,
    )
    assert asked.status == 200, asked.body
    own = world.houses["county"].staff[Role.INVITING]
    seen = {"capacity": "self", "basis": "own", "signer_name": "患者", "document": "身份证", "relation": ""}
    witnessed = await village.post(f"{path}/seats/{booked.patient.id}/consent/witness", **seen, typed_name=own.name)
    assert witnessed.status == 200, witnessed.body
    patient = await world.patient(booked)  # the same device: another cookie
    assert (await sign(patient, rec_av=False)).status == 200
    waiting = await village.post(f"{path}/written", reason="不需要视频")
    assert waiting.status == 200, waiting.body
    assert (waiting.body["status"], waiting.body["written"]["begun_at"]) == ("scheduled", None)
    nobody = await village.post(f"{path}/written/begin")
    assert (nobody.status, nobody.code) == (409, "visit.nobody_takes_part")
    doors = [await world.staff("city", role) for role in (Role.CHAIR, Role.EXPERT)]
    for door in doors:
        (invitation,) = (await door.get("/api/today")).body["invitations"]
        assert (await door.post(f"/api/invitations/{invitation['id']}/answer", accept=True)).status == 200
    begun = (await village.get(path)).body
    assert (begun["status"], begun["written"]["begun_at"] is None) == ("concluding", False)
    assert [row["id"] for row in (await village.get("/api/today")).body["items"]] == [booked.consult.id]
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


async def test_the_doctor_need_not_wait_for_everybody(world: World) -> None:
    from tests.hostile.test_who_sees_what import _asked

    booked, village, expert, invitation = await _asked(world)
    assert (await sign(await world.patient(booked), rec_av=False)).status == 200
    path = f"/api/consults/{booked.consult.id}"
    assert (await expert.post(f"/api/invitations/{invitation}/answer", accept=True)).status == 200
    begun = await village.post(f"{path}/written", reason="专家已接受")  # everybody has answered: it begins at once
    assert begun.body["status"] == "concluding"
    again = await village.post(f"{path}/written/begin")
    assert (again.status, again.code) == (409, "visit.illegal_move")
