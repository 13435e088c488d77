"""Administration, real booking, and the panel, all by REST."""

from datetime import timedelta
from typing import Any

from clinic.people import Role
from tests.huizhen.world import CARDIOLOGY, PASSWORD, Browser, World, ask_experts, operation, sign


async def _accounts(world: World) -> tuple[Browser, Browser]:
    """A doctor and a nurse made by the administrator, signed in."""
    admin = await world.staff("city", Role.ADMIN)
    doctor = await admin.post(
        "/api/admin/staff",
        login="dr-new",
        name="新医生",
        title="主治医师",
        roles=["attending"],
        department=CARDIOLOGY,
        licence_number="110000000000001",
        licence_valid_to="2040-01-01",
        practice_scope=[CARDIOLOGY],
        independent_since="2010-01-01",
        verified_until="2030-01-01",
        password="a good long one",
    )
    assert doctor.status == 200, doctor.body
    filed = await admin.post(
        f"/api/admin/staff/{doctor.body['id']}/filings", kind="registered", number="ZY-1", valid_from="2010-01-01"
    )
    assert [row["number"] for row in filed.body["items"]] == ["ZY-1"]
    nurse = await admin.post(
        "/api/admin/staff", login="nurse-new", name="新护士", roles=["nurse"], password="a good long one"
    )
    assert nurse.status == 200
    return await world.login("dr-new", "a good long one"), await world.login("nurse-new", "a good long one")


def _booking(world: World, doctor: str, patient: str, **changes: Any) -> dict[str, Any]:
    now = world.clock()
    visited = (now - timedelta(days=10)).date().isoformat()
    proof = {
        "department": CARDIOLOGY,
        "visited_on": visited,
        "visited_institution": "某医院",
        "diagnosis": "高血压",
        "reference": "MZ9",
    }
    return {
        "kind": "follow_up",
        "department": CARDIOLOGY,
        "doctor_id": doctor,
        "patient_id": patient,
        "starts_at": now.isoformat().replace("+00:00", "Z"),
        "ends_at": (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
        "reason": "复诊",
        "fee_cents": 500,
        "evidence": [proof],
    } | changes


async def test_real_booking_from_account_to_the_patients_page(world: World) -> None:
    doctor, nurse = await _accounts(world)
    me = (await doctor.get("/api/me")).body["staff"]
    listed = (await nurse.get("/api/directory/doctors")).body["items"]
    assert me["id"] in {row["id"] for row in listed}
    person = await nurse.post(
        "/api/admin/patients",
        name="王一",
        birth_date="1980-05-06",
        gender="F",
        id_number="000000198005061234",
        phone="10012345678",
        identity_level=2,
    )
    assert (person.body["masked_id"], person.body["phone_masked"]) == ("000***********1234", "100****5678")
    booked = await nurse.post("/api/consults", **_booking(world, me["id"], person.body["id"]))
    assert booked.status == 200, booked.body
    assert booked.body["status"] == "scheduled"
    assert booked.body["patient"]["name"] is None  # the nurse keeps the book, not the chart
    page = (await doctor.get(f"/api/consults/{booked.body['id']}")).body
    assert page["admission"]["allowed"] is True
    assert page["evidence"][0]["reference"] == "MZ9"
    seat = next(each["id"] for each in page["seats"] if each["role"] == "patient")
    link = (await doctor.post(f"/api/consults/{booked.body['id']}/seats/{seat}/link")).body
    patient = await world.browser()
    opened = await patient.post("/api/links/redeem", secret=link["url"].partition("#")[2])
    assert opened.body["seat"]["doctor"]["name"] == "新医生"
    assert (await sign(patient, name="王一")).body["consent"]["complete"] is True


async def test_a_refused_booking_says_why_and_is_on_record(world: World) -> None:
    doctor, nurse = await _accounts(world)
    me = (await doctor.get("/api/me")).body["staff"]["id"]
    admin = await world.staff("city", Role.ADMIN)
    assert (await admin.put(f"/api/admin/staff/{me}", verified_until="2020-01-01")).status == 200
    patient = world.houses["city"].patient.id
    reply = await nurse.post("/api/consults", **_booking(world, me, patient))
    assert (reply.status, reply.code, reply.body["reasons"]) == (
        409,
        "visit.not_admitted",
        ["gate.doctor_unverified"],
    )
    failed = [event for event in await world.events() if event.code == "visit.gate_fail"]
    assert failed[-1].public == {"reasons": ["gate.doctor_unverified"]}
    words = (await nurse.get("/api/reasons?locale=zh")).body
    assert words["gate.doctor_unverified"]


async def test_evidence_and_cancelling(world: World) -> None:
    booked = await world.book()
    doctor = await world.staff("city", Role.ATTENDING)
    path = f"/api/consults/{booked.consult.id}"
    added = await doctor.post(
        f"{path}/evidence",
        department=CARDIOLOGY,
        visited_on="2026-02-20",
        visited_institution="某医院",
        diagnosis="高血压",
        reference="MZ2",
    )
    assert added.body["evidence_count"] == 2
    future = await doctor.post(
        f"{path}/evidence",
        department=CARDIOLOGY,
        visited_on="2027-01-01",
        visited_institution="某医院",
        diagnosis="高血压",
        reference="MZ3",
    )
    assert (future.status, future.body["field"]) == (422, "visited_on")
    assert (await doctor.post(f"{path}/cancel", reason_code="no such code")).code == "input.invalid"
    assert (await doctor.post(f"{path}/cancel", reason_code="patient_asked")).body["status"] == "cancelled"
    assert (await doctor.post(f"{path}/cancel", reason_code="patient_asked")).code == "visit.illegal_move"
    assert [row["id"] for row in (await doctor.get("/api/consults?status=cancelled")).body["items"]] == [
        booked.consult.id
    ]
    assert (await doctor.get("/api/consults?q=nothing-like-it")).body["items"] == []


async def test_one_operation_id_books_once(world: World) -> None:
    nurse = await world.staff("city", Role.NURSE)
    body = {"op": operation()} | _booking(
        world, world.houses["city"].staff[Role.ATTENDING].id, world.houses["city"].patient.id
    )
    first = await nurse.call("POST", "/api/consults", body)
    again = await nurse.call("POST", "/api/consults", body)
    assert (first.status, again.status, again.code) == (200, 409, "operation.repeated")
    async with world.db.read() as tx:
        assert len(await tx.consults.find()) == 1


async def test_administration_of_accounts_and_house(world: World) -> None:
    admin = await world.staff("city", Role.ADMIN)
    taken = await admin.post(
        "/api/admin/staff", login="county-nurse", name="某", roles=["nurse"], password="a good long one"
    )
    assert (taken.status, taken.code) == (409, "login.taken")
    weak = await admin.post("/api/admin/staff", login="somebody", name="某", roles=["nurse"], password="short")
    assert (weak.status, weak.code) == (422, "password.too_weak")
    both = await admin.post(
        "/api/admin/staff", login="both", name="某", roles=["archivist", "approver"], password="a good long one"
    )
    assert (both.status, both.body["field"]) == (422, "roles")
    mine = world.houses["city"].staff[Role.ADMIN].id
    assert (await admin.put(f"/api/admin/staff/{mine}", roles=["approver"])).code == "access.denied"
    changed = await admin.put("/api/admin/institution", phone="0000-9", departments=[CARDIOLOGY, "07"])
    assert (changed.body["phone"], changed.body["departments"]) == ("0000-9", [CARDIOLOGY, "07"])
    departments = (await admin.get("/api/directory/departments")).body["items"]
    assert departments[0]["label"]["zh"] == "心血管内科"

    nurse = await world.staff("city", Role.NURSE)
    nurse_id = world.houses["city"].staff[Role.NURSE].id
    assert (await admin.post(f"/api/admin/staff/{nurse_id}/password", password="another horse 8")).status == 200
    assert (await nurse.get("/api/me")).code == "session.required"
    old = await (await world.browser()).post(
        "/api/login", login=world.houses["city"].login(Role.NURSE), password=PASSWORD
    )
    assert old.code == "login.refused"
    assert (await world.login(world.houses["city"].login(Role.NURSE), "another horse 8")).csrf


async def test_panel_from_case_to_decision(world: World) -> None:
    from clinic import visit
    from clinic.actor import Actor
    from clinic.consult import ConsultKind

    booked = await world.book("county", ConsultKind.EXPERT_CONSULT)
    clinic = await world.staff("county", Role.INVITING)
    city = world.houses["city"]
    partners = (await clinic.get("/api/directory/institutions")).body["items"]
    assert [row["id"] for row in partners] == [city.institution.id]
    experts = (await clinic.get(f"/api/directory/institutions/{city.institution.id}/experts")).body["items"]
    chair, expert = city.staff[Role.CHAIR], city.staff[Role.EXPERT]
    assert {row["id"] for row in experts} == {chair.id, expert.id}
    path = f"/api/consults/{booked.consult.id}"
    patient = await world.patient(booked)
    case: dict[str, Any] = {
        "expert_ids": [chair.id, expert.id],
        "chair_id": chair.id,
        "reason": "胸痛待查",
        "aim": "明确治疗方案",
        "summary": "冠脉造影示前降支狭窄 70%",
    }
    asked = await ask_experts(world, booked, clinic, patient, sharing=False, **case)
    assert asked.body["case"]["summary"].startswith("冠脉")
    doors = {Role.CHAIR: await world.staff("city", Role.CHAIR), Role.EXPERT: await world.staff("city", Role.EXPERT)}
    for role, door in doors.items():
        waiting = (await door.get("/api/today")).body["invitations"]
        assert [row["aim"] for row in waiting] == ["明确治疗方案"], role
        assert (await door.get(path)).body["case"] is None  # not before they accept
        refusing = await door.post(f"/api/invitations/{waiting[0]['id']}/answer", accept=False)
        assert refusing.status == 422
        accepted = await door.post(f"/api/invitations/{waiting[0]['id']}/answer", accept=True)
        assert accepted.body["state"] == "accepted"
        ticket = await door.post(f"{path}/ticket")
        assert (ticket.code, ticket.body["reasons"]) == ("consent.missing", ["share_panel"])

    shown = (await patient.get("/api/seat/consent?locale=zh&again=true")).body
    assert shown["shared_with"] == ["city"]
    assert (await sign(patient, again=True)).body["consent"]["standing"]["share_panel"] == "permitted"
    assert (await doors[Role.EXPERT].post(f"{path}/ticket")).status == 200

    me = Actor.staff(world.houses["county"].staff[Role.INVITING])
    async with world.db.begin() as tx:
        await visit.enter(tx, booked.doctor.id)
        await visit.enter(tx, booked.patient.id)
        await visit.admit(tx, booked.consult.id, booked.patient.id, me)
    async with world.db.begin() as tx:
        await visit.conclude(tx, booked.consult.id, me)
    assert (await clinic.post(f"{path}/close")).code == "visit.unsigned"
    for role, door in doors.items():
        assert "opinion" in (await door.get("/api/consults")).body["items"][0]["needs"]
        saved = await door.put(f"{path}/opinion", text=f"建议介入治疗 {role}", dissent=False)
        assert saved.status == 200, saved.body
        assert (await door.post(f"{path}/opinion/sign")).status == 200
    await clinic.put(f"{path}/decision", adoption="adopt", reason="与专家意见一致", treatment="择期介入")
    assert (await clinic.post(f"{path}/decision/sign")).body["reasons"] == ["closing.report"]
    assert "report" in (await doors[Role.CHAIR].get("/api/consults")).body["items"][0]["needs"]
    assert (await doors[Role.EXPERT].put(f"{path}/report", conclusion="择期介入")).code == "report.not_the_chair"
    await doors[Role.CHAIR].put(f"{path}/report", conclusion="前降支狭窄，择期介入", advice="术前双联抗血小板")
    assert (await doors[Role.CHAIR].post(f"{path}/report/sign")).status == 200
    signed = await clinic.post(f"{path}/decision/sign")
    assert signed.body["decision"]["signed_at"] is not None
    assert len(signed.body["opinions"]) == 2
    assert (await clinic.post(f"{path}/close")).body["status"] == "closed"
