"""The outcome of a panel over REST: opinion, report and decision signed in order; the paper, the copies, the check."""

import io
import zipfile
from dataclasses import replace
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent
from audit.verify.copy import verify_copy
from clinic import visit
from clinic.actor import Actor
from clinic.consult import ConsultKind, ConsultStatus, Seat, SeatState
from clinic.documents import digest
from clinic.panels.records import Case
from clinic.people import Role
from tests.huizhen.world import Booked, Browser, World, sign

CODE = "needs_examination"


async def panel(world: World, *, over: bool = True) -> tuple[Booked, Browser]:
    """The county's doctor asks the city's chair and a colleague; the call is over, or runs. With the patient's page."""
    booked = await world.book("county")
    city, county = world.houses["city"], world.houses["county"]
    async with world.db.begin() as tx:
        consult = replace(await tx.consults.get(booked.consult.id), kind=ConsultKind.EXPERT_CONSULT)
        inviting = county.staff[Role.INVITING]
        await tx.consults.save(replace(consult, doctor_id=inviting.id))
        seat = await tx.seats.get(booked.doctor.id)
        await tx.seats.save(replace(seat, role=Role.INVITING, person_id=inviting.id))
        case = Case(
            uuid4().hex, consult.institution_id, consult.id, city.institution.id, "诊断不明", "明确诊断", "胸闷三月",
            "心内科", "inviting", inviting.id, tx.now,
        )  # fmt: skip
        await tx.cases.add(case)
        for role in (Role.CHAIR, Role.EXPERT):
            person = city.staff[role]
            seat = Seat(
                uuid4().hex, consult.institution_id, consult.id, role, person.name, person.institution_id, person.id,
                SeatState.LEFT, tx.now, "system", admitted_at=tx.now,
            )  # fmt: skip
            await tx.seats.add(seat)
        await tx.append(AuditEvent(EventCode.SEAT_ADDED, consult.institution_id, "system", consult.id))
    patient = await world.patient(booked)
    assert (await sign(patient)).status == 200
    async with world.db.begin() as tx:
        consult = await tx.consults.get(booked.consult.id)
        ways = (ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS, ConsultStatus.CONCLUDING)
        for to in ways if over else ways[:2]:
            consult = consult.move(to, tx.now)
        await tx.consults.save(consult)
        await tx.append(AuditEvent(EventCode.CONSULT_MOVED, consult.institution_id, "system", consult.id))
    return booked, patient


async def held_by_its_own_house(world: World, copies: dict[str, Any]) -> None:
    """The invited institution's archivist holds its copy, its approver lifts it; the other house sees nothing of it."""
    archivist, approver = await world.staff("city", Role.ARCHIVIST), await world.staff("city", Role.APPROVER)
    strangers = await world.staff("county", Role.ARCHIVIST), await world.staff("county", Role.APPROVER)
    place = f"/api/copies/{copies['city']['id']}/holds"
    assert (await approver.post(place, reason="家属有异议")).code == "access.denied"
    assert (await strangers[0].post(place, reason="家属有异议")).status == 404
    held = await archivist.post(place, reason="家属有异议")
    assert held.status == 200
    for browser in (archivist, approver):
        (row,) = (await browser.get("/api/copies")).body["items"]
        assert (row["retained"]["held"], row["holds"][0]["reason"]) == (True, "家属有异议")
        assert row["retained"]["due_on"] > "2030"
    for stranger in strangers:
        (row,) = (await stranger.get("/api/copies")).body["items"]
        assert (row["retained"]["held"], row["holds"]) == (False, [])
        assert (await stranger.get("/api/archive/holds")).body["items"] == []
    lift = f"/api/archive/holds/{held.body['id']}/lift"
    assert (await archivist.post(lift, reason="已和解")).code == "access.denied"
    assert (await strangers[1].post(lift, reason="已和解")).status == 404
    assert (await approver.post(lift, reason="已和解")).status == 200
    (row,) = (await approver.get("/api/copies")).body["items"]
    assert (row["retained"]["held"], bool(row["holds"][0]["lifted_at"])) == (False, True)


async def test_signed_in_order_then_paper_and_copies(world: World) -> None:
    booked, patient = await panel(world)
    path = f"/api/consults/{booked.consult.id}"
    chair, expert = await world.staff("city", Role.CHAIR), await world.staff("city", Role.EXPERT)
    doctor = await world.staff("county", Role.INVITING)
    missing = await doctor.post(f"{path}/close")
    assert (missing.code, missing.body["reasons"]) == (
        "visit.unsigned",
        ["closing.opinion", "closing.report", "closing.decision"],
    )
    assert (await doctor.get(f"{path}/opinion-paper")).code == "visit.unsigned"
    for browser, dissent in ((chair, False), (expert, True)):
        assert (await browser.put(f"{path}/opinion", text="建议冠脉造影", dissent=dissent)).status == 200
        assert (await browser.post(f"{path}/opinion/sign")).status == 200
    assert (await expert.put(f"{path}/report", conclusion="结论")).code == "report.not_the_chair"
    assert (await expert.post(f"{path}/report/mark", agrees=True)).code == "report.not_signed"
    assert (await chair.put(f"{path}/report", conclusion="考虑冠心病", advice="造影")).status == 200
    assert (await chair.post(f"{path}/report/sign")).status == 200
    marked = await expert.post(f"{path}/report/mark", agrees=False, remark="仍建议胃镜")
    assert marked.status == 200
    assert [row["agrees"] for row in (await doctor.get(path)).body["outcome"]["marks"]] == [False]
    assert (await expert.get("/api/countersigns")).body == {"items": []}
    assert (await doctor.put(f"{path}/decision", adoption="adopt", reason="同意", treatment="转院")).status == 200
    assert (await patient.get("/api/seat/after")).body["panel"] is None  # not decided yet
    assert (await doctor.post(f"{path}/decision/sign")).status == 200
    told = (await patient.get("/api/seat/after")).body
    assert (told["note"], told["panel"]["conclusion"], told["panel"]["treatment"]) == (None, "考虑冠心病", "转院")
    sent = await doctor.post(
        f"{path}/referrals", to_institution_id=world.houses["city"].institution.id, reason="行冠脉造影"
    )
    assert (await expert.post(f"/api/referrals/{sent.body['id']}/move", state="accepted")).status == 200
    assert (await doctor.get("/api/referrals")).body["items"][0]["state"] == "accepted"
    assert (await doctor.post(f"{path}/close")).status == 200
    await world.parts.services.outcome.make_due()
    copies = {}
    for house in ("city", "county"):
        archivist = await world.staff(house, Role.ARCHIVIST)
        (row,) = (await archivist.get("/api/copies")).body["items"]
        taken = await archivist.get(f"/api/copies/{row['id']}/package")
        assert taken.status == 200
        assert zipfile.ZipFile(io.BytesIO(taken.raw)).testzip() is None
        keys = (world.parts.settings.keys_path / "public.vkeys").read_text().splitlines()
        report = verify_copy(taken.raw, keys)
        assert [str(finding) for finding in report.findings] == []
        copies[house] = row
    stranger = await world.staff("city", Role.ARCHIVIST)
    assert (await stranger.get(f"/api/copies/{copies['county']['id']}/package")).status == 404
    await held_by_its_own_house(world, copies)
    assert all("holds" not in row for row in (await doctor.get(path)).body["outcome"]["copies"])
    pdf = await doctor.get(f"{path}/opinion-paper")
    code = (await doctor.get(path)).body["outcome"]["paper"]["code"]
    nobody = await world.browser()
    checked = (await nobody.get(f"/api/opinion-papers/{code}")).body
    assert (checked["known"], checked["sealed"], checked["pdf_sha256"]) == (True, True, digest(pdf.raw))
    assert booked.consult.id not in str(checked)
    assert (await nobody.get("/api/opinion-papers/0000-0000-0000-0000")).body["known"] is False
    events = [event.code for event in await world.events("county")]
    assert {"opinion.paper_filed", "copy.sealed", "copy.taken", "referral.moved"} <= set(events)


async def test_a_panel_ended_early_tells_its_end_and_leaves_its_copies(world: World) -> None:
    """Nothing is missing any more, nothing is printed where nothing was signed."""
    for opinions in (0, 1):
        booked, _ = await panel(world, over=False)
        path = f"/api/consults/{booked.consult.id}"
        chair, doctor = await world.staff("city", Role.CHAIR), await world.staff("county", Role.INVITING)
        if opinions:
            await chair.put(f"{path}/opinion", text="建议冠脉造影", dissent=False)
            assert (await chair.post(f"{path}/opinion/sign")).status == 200
        async with world.db.begin() as tx:
            await visit.terminate(tx, booked.consult.id, Actor.staff(world.houses["county"].staff[Role.INVITING]), CODE)
        await world.parts.services.outcome.make_due()
        outcome = (await doctor.get(path)).body["outcome"]
        assert (outcome["missing"], outcome["ended"]["paper"]) == ([], bool(opinions))
        assert outcome["ended"]["said"]["zh"].startswith("会诊提前终止，原因：需要当面检查。")
        assert {row["state"] for row in outcome["copies"]} == {"sealed"}
        printed = await doctor.get(f"{path}/opinion-paper")
        assert (printed.status, (outcome["paper"] is None)) == ((200, False) if opinions else (409, True))
        refused = await chair.put(f"{path}/opinion", text="另写一份", dissent=False)
        assert refused.status == 409
    archivist = await world.staff("city", Role.ARCHIVIST)
    rows = (await archivist.get("/api/copies")).body["items"]
    keys = (world.parts.settings.keys_path / "public.vkeys").read_text().splitlines()
    facts = [verify_copy((await archivist.get(f"/api/copies/{row['id']}/package")).raw, keys).facts for row in rows]
    assert [each["opinions"] for each in facts] == ["1 signed, 0 dissenting", "0 signed, 0 dissenting"]
    assert all(each["ended early"].startswith("terminated_unsuitable (needs_examination)") for each in facts)
