"""One thing of each kind that a path can name, all of the city's hospital."""

from datetime import date, timedelta

from archive import hold_requests
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import break_glass, clients, filings, guardians, regulation, slots
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.notices import Channel, NoticeKind
from clinic.panels.outcome import CopyState, Direction, FollowUpTask, Referral, ReferralState, SealedCopy, TaskState
from clinic.panels.records import Opinion
from clinic.panels.requests import InvitedParty, PanelRequest, Proposal
from clinic.parties import agreements
from clinic.parties.agreements import Terms
from clinic.people import Role
from clinic.regulation import NewCase
from consent import drafting, templates
from huizhen.outbox import Addressed
from imaging import fetching, uids
from imaging.fetching import FoundStudy
from imaging.identity import Named
from tests.huizhen.test_uploads import send
from tests.huizhen.world import CARDIOLOGY, Booked, Browser, World, operation, sign
from tests.inspection.corpus import png
from tests.store.samples import sample
from tests.support import dicom
from tests.support.proofs import filing


async def facts(world: World) -> dict[str, str]:
    """A filing and a shift of the doctor, a guardian and an agreement of the patient."""
    house = world.houses["city"]
    doctor, system = house.staff[Role.ATTENDING], Actor.system(house.institution.id)
    async with world.db.begin() as tx:
        filed = await filings.file_practice(tx, doctor.id, filing(), system)
        shift = await filings.plan_shift(tx, doctor.id, "03.04", tx.now, tx.now + timedelta(hours=1), system)
        guardian = await guardians.record_guardian(tx, house.patient.id, guardians.NewGuardian("母", "母亲"), system)
        deal = guardians.NewAgreement(doctor.id, "J1", tx.now.date(), tx.now.date())
        agreement = await guardians.record_agreement(tx, house.patient.id, deal, system)
    return {"filing": filed.id, "shift": shift.id, "guardian": guardian.id, "agreement": agreement.id}


async def uploaded(patient: Browser) -> str:
    return str((await send(patient, "/api/seat/evidence-files", png(), "image/png", "a.png")).body["id"])


async def cooperation(world: World) -> str:
    """A draft of the city's hospital, which the other side does not see yet."""
    city, county = world.houses["city"], world.houses["county"]
    async with world.db.begin() as tx:
        terms = Terms(
            county.institution.id,
            city.institution.id,
            "XY1",
            "远程会诊",
            "流程与权利义务",
            ("expert_consult",),
            "by_kind",
            "按规定",
            "邀请方收取",
            tx.now.date(),
            tx.now.date() + timedelta(days=365),
        )
        return (await agreements.draft(tx, terms, Actor.staff(city.staff[Role.COORDINATOR]))).id


async def glass(world: World, consult_id: str) -> str:
    house = world.houses["city"]
    async with world.db.begin() as tx:
        opener = Actor.staff(house.staff[Role.INVITING])
        return (await break_glass.open_chart(tx, consult_id, "急诊抢救需要查看用药史", opener)).id


async def ledger(world: World) -> dict[str, str]:
    """A published text and a draft of it."""
    house = world.houses["city"]
    async with world.db.begin() as tx:
        wording = templates.shipped()[0]
        content = drafting.Draft(
            wording.key, wording.locale, "新", wording.sections, wording.questions, wording.legal_basis
        )
        draft = await drafting.begin(tx, Actor.staff(house.staff[Role.ARCHIVIST]), content)
        template = (await tx.consent_templates.find(institution_id=house.institution.id))[0]
    return {"template": template.id, "draft": draft.id}


async def signed(patient: Browser) -> str:
    assert (await sign(patient)).status == 200
    return str((await patient.get("/api/seat/after")).body["consents"][0]["id"])


async def hours(world: World) -> str:
    """Opened for booking tomorrow."""
    nurse = Actor.staff(world.houses["city"].staff[Role.NURSE])
    doctor = world.houses["city"].staff[Role.ATTENDING].id
    async with world.db.begin() as tx:
        new = slots.NewSlot(doctor, CARDIOLOGY, ConsultKind.FOLLOW_UP, tx.now + timedelta(days=1), 60, 4)
        return (await slots.open_slot(tx, new, nurse)).id


async def asking(world: World, consult_id: str) -> dict[str, str]:
    """A doctor's request for a hold, and a regulator's open case that covers visits of long ago."""
    house = world.houses["city"]
    regulator = Actor.staff(house.staff[Role.REGULATOR])
    async with world.db.begin() as tx:
        consult = await tx.consults.get(consult_id)
        doctor = Actor.staff(await tx.staff.get(consult.doctor_id))
        request = await hold_requests.ask(tx, doctor, consult_id, "对诊疗有异议")
        day = date(2001, 1, 1)
        new = NewCase("卫监17", "区监督所", "投诉核查，调取资料", ("chart",), day, day, tx.now + timedelta(days=9))
        case = await regulation.ask(tx, new, regulator)
        await regulation.decide(tx, case.id, True, "", Actor.staff(house.staff[Role.APPROVER]))
    return {"request": request.id, "case": case.id}


async def his_client(world: World) -> str:
    """A hospital system, to which nobody's records are open."""
    admin = Actor.staff(world.houses["city"].staff[Role.ADMIN])
    async with world.db.begin() as tx:
        return (await clients.enter(tx, "HIS", admin)).id


async def notice(world: World, booked: Booked) -> str:
    """A message to the patient."""
    nurse = Actor.staff(world.houses["city"].staff[Role.NURSE])
    async with world.db.begin() as tx:
        letter = Addressed(NoticeKind.INVITATION, "matrix", Channel.SMS, "zh")
        queued = await world.parts.services.outbox.queue(tx, booked.consult, letter, nurse)
    assert queued is not None
    return queued.id


async def outcome(world: World, consult_id: str) -> dict[str, str]:
    """An opinion of the house's expert, a referral it issued, a task it has, its own copy: rows alone."""
    house = world.houses["city"]
    expert, home = house.staff[Role.EXPERT].id, house.institution.id
    async with world.db.begin() as tx:
        opinion = Opinion("a1" * 16, home, consult_id, expert, home, "t", False, tx.now)
        referral = Referral(
            "a2" * 16, home, consult_id, "ZZ1", Direction.OUT, home, home, "r", ReferralState.ISSUED, expert, tx.now
        )
        task = FollowUpTask("a3" * 16, home, consult_id, "w", tx.now.date(), TaskState.OPEN, expert, tx.now)
        copy = SealedCopy("a4" * 16, home, consult_id, home, house.patient.id, CopyState.DUE, tx.now, "k", "b")
        await tx.opinions.add(opinion)
        await tx.referrals.add(referral)
        await tx.follow_up_tasks.add(task)
        await tx.sealed_copies.add(copy)
        await tx.append(AuditEvent(EventCode.CONSULT_MOVED, home, "system", consult_id))
    return {"opinion": opinion.id, "referral": referral.id, "task": task.id, "copy": copy.id}


async def imaged(world: World, booked: Booked) -> dict[str, str]:
    """A study of one picture, brought in by the consult's doctor, and measurements saved on it."""
    doctor = await world.staff("city", Role.ATTENDING)
    headers = {"Content-Type": "application/dicom", "X-Operation": operation()}
    path = f"/api/consults/{booked.consult.id}"
    stored = await doctor.call("POST", f"{path}/dicomweb/studies", data=dicom.ct(0, 16), headers=headers)
    assert stored.status == 200, stored.raw
    assert (await doctor.post(f"{path}/images/findings", version=1, measurements=[])).status in (200, 403)
    upload = await begun_upload(doctor, path)
    async with world.db.read() as tx:
        (row,) = await tx.image_instances.find(consult_id=booked.consult.id)
    async with world.db.begin() as tx:
        study = FoundStudy("1.2.3", Named(("患者欧阳鹤",), birth_date="19700101"))
        by = Actor.staff(world.houses["city"].staff[Role.ATTENDING])
        allowed = await fetching.allow(tx, by, booked.consult.id, study)
    return {
        "study": row.study_id,
        "study_uid": uids.told(row.study_id),
        "series_uid": uids.told(row.series_id),
        "instance_uid": uids.told(row.id),
        "frames": "1",
        "upload": upload,
        "pacs": allowed.id,
    }


async def requested(world: World, consult_id: str) -> dict[str, str]:
    """Rows of a draft to another institution and of a proposal, as if of this consult."""
    home, invited = (world.houses[key].institution.id for key in ("city", "county"))
    request = sample(PanelRequest, operation(), home, consult_id=consult_id)
    about = {"consult_id": consult_id, "request_id": request.id}
    party = sample(InvitedParty, operation(), home, **about, invited_institution_id=invited)
    proposal = sample(Proposal, operation(), home, **about, party_id=party.id)
    async with world.db.begin() as tx:
        await tx.panel_requests.add(request)
        await tx.invited_parties.add(party)
        await tx.panel_proposals.add(proposal)
        await tx.append(AuditEvent(EventCode.REQUEST_DRAFTED, home, "system", consult_id, request.id))
    return {"panel": request.id, "proposal": proposal.id}


async def begun_upload(doctor: Browser, path: str) -> str:
    """A resumable upload of which nothing has arrived."""
    headers = {"X-Operation": operation(), "Tus-Resumable": "1.0.0", "Upload-Length": "9"}
    begun = await doctor.call("POST", f"{path}/images/uploads", headers=headers)
    assert begun.status == 201, begun.raw
    return begun.headers["Location"].rpartition("/")[2]
