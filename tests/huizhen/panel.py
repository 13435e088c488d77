"""A panel of the county with two experts of the city, the way a village doctor asks for it: agreement, draft, the
patient's identity witnessed, the consent signed on the doctor's own device, and the request sent."""

from dataclasses import dataclass

from clinic.consult import ConsultKind
from clinic.people import Role
from tests.huizhen.world import Booked, Browser, Reply, World, sign
from tests.support.agreements import agree

CASE = {"reason": "皮疹待查", "aim": "明确诊断", "summary": "皮疹两周，附照片", "wanted_specialty": "皮肤科"}
EXPERTS = (Role.CHAIR, Role.EXPERT)


@dataclass(frozen=True, slots=True)
class Panel:
    booked: Booked
    village: Browser  # the inviting doctor
    patient: Browser

    @property
    def path(self) -> str:
        return f"/api/consults/{self.booked.consult.id}"


async def drafted(world: World) -> Panel:
    """The draft that the patient's text needs, and the patient's page; nobody has been asked."""
    booked = await world.book("county", ConsultKind.EXPERT_CONSULT)
    city, county = world.houses["city"], world.houses["county"]
    async with world.db.begin() as tx:
        await agree(tx, world.parts.services.sealer, county.institution.id, city.institution.id)
    village = await world.staff("county", Role.INVITING)
    panel = Panel(booked, village, await world.patient(booked))
    assert (await send(world, panel)).code == "visit.not_admitted"  # the patient has not agreed: the draft is kept
    return panel


async def send(world: World, panel: Panel) -> Reply:
    city = world.houses["city"]
    experts = [city.staff[role].id for role in EXPERTS]
    return await panel.village.post(
        f"{panel.path}/case",
        invited_institution_id=city.institution.id,
        expert_ids=experts,
        chair_id=experts[0],
        **CASE,
    )


async def agreed(world: World, panel: Panel) -> None:
    """Witnessed and signed: yes to care and sharing, no to recording."""
    doctor = world.houses["county"].staff[Role.INVITING]
    seen = {"capacity": "self", "basis": "own", "signer_name": "患者", "document": "身份证", "relation": ""}
    seat = panel.booked.patient.id
    witnessed = await panel.village.post(f"{panel.path}/seats/{seat}/consent/witness", **seen, typed_name=doctor.name)
    assert witnessed.status == 200, witnessed.body
    signed = await sign(panel.patient, rec_av=False)
    assert signed.status == 200, signed.body


async def asked(world: World) -> Panel:
    panel = await drafted(world)
    await agreed(world, panel)
    sent = await send(world, panel)
    assert sent.status == 200, sent.body
    return panel


async def invitation_of(door: Browser) -> str:
    (invitation,) = (await door.get("/api/today")).body["invitations"]
    return str(invitation["id"])


async def accept(door: Browser) -> None:
    answered = await door.post(f"/api/invitations/{await invitation_of(door)}/answer", accept=True)
    assert answered.status == 200, answered.body
