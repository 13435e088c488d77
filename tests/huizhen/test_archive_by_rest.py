"""From finding a recording to watching it, and from a date that came to a certificate."""

import hashlib
from datetime import timedelta

import pytest

from clinic.people import Role
from huizhen import verification
from tests.huizhen.shelf import due, played
from tests.huizhen.world import PASSWORD, Browser, World


async def _granted(world: World, recording_id: str, minutes: int = 60) -> Browser:
    """An archivist who may watch."""
    archivist = await world.staff("city", Role.ARCHIVIST)
    approver = await world.staff("city", Role.APPROVER)
    asked = await archivist.post(f"/api/archive/recordings/{recording_id}/access", reason="质控抽查本月录像,第三季度")
    decided = await approver.post(
        f"/api/archive/access-requests/{asked.body['id']}/decide", grant=True, minutes=minutes, reason="同意"
    )
    assert decided.body["state"] == "granted", decided.body
    return archivist


async def test_found_asked_granted_watched_and_the_watching_is_seen(world: World) -> None:
    recording = await played(world)
    archivist = await world.staff("city", Role.ARCHIVIST)
    row = (await archivist.get("/api/archive/recordings")).body["items"][0]
    assert row["recording_id"] == recording.id
    assert row["patient_masked"] == "患***鹤"
    assert (row["people"], row["segments"], row["duration_ms"]) == (2, 4, 24_000)
    assert row["access"] == "none"
    assert row["retained"]["state"] == "active"
    assert row["retained"]["due_on"] == "2029-03-02"
    early = await archivist.post(f"/api/archive/recordings/{recording.id}/view")
    assert (early.status, early.code) == (403, "archive.no_grant")
    short = await archivist.post(f"/api/archive/recordings/{recording.id}/access", reason="看看")
    assert (short.status, short.body["field"]) == (422, "reason")

    archivist = await _granted(world, recording.id)
    opened = (await archivist.post(f"/api/archive/recordings/{recording.id}/view")).body
    assert {person["role"] for person in opened["people"]} == {"attending", "patient"}
    assert [len(track["segments"]) for track in opened["tracks"]] == [2, 2]
    assert opened["viewed_by"][0]["who"] == world.houses["city"].staff[Role.ARCHIVIST].name
    assert {mark["code"] for mark in opened["timeline"]} >= {"admitted", "consent"}

    segment = opened["tracks"][0]["segments"][0]
    whole = await archivist.get(segment["url"])
    assert whole.status == 200
    assert whole.headers["Content-Type"] == "video/webm"
    assert whole.raw.startswith(b"\x1a\x45\xdf\xa3")
    async with world.db.read() as tx:
        kept = await tx.segments.get(segment["id"])
    assert hashlib.sha256(whole.raw).hexdigest() == kept.plain_sha256
    for asked, expected in (
        ("bytes=0-99", whole.raw[:100]),
        ("bytes=1000-", whole.raw[1000:]),
        ("bytes=-77", whole.raw[-77:]),
        ("bytes=5-99999999", whole.raw[5:]),
    ):
        part = await archivist.get(segment["url"], headers={"Range": asked})
        assert (part.status, part.raw) == (206, expected), asked
    beyond = await archivist.get(segment["url"], headers={"Range": "bytes=99999999-"})
    assert beyond.status == 416


async def test_every_segment_request_is_judged_again(world: World) -> None:
    recording = await played(world)
    archivist = await _granted(world, recording.id)
    opened = (await archivist.post(f"/api/archive/recordings/{recording.id}/view")).body
    url = opened["tracks"][0]["segments"][0]["url"]
    assert (await archivist.get(url)).status == 200
    for other in (
        await world.login(world.houses["city"].login(Role.ARCHIVIST)),  # same person, another login
        await world.staff("city", Role.APPROVER),
        await world.staff("city", Role.ATTENDING),
        await world.browser(),
    ):
        assert (await other.get(url)).status in (401, 403), url
    forged = url.partition("?")[0] + f"?view={'0' * 32}"
    assert (await archivist.get(forged)).code == "archive.no_grant"
    views = len([event for event in await world.events() if event.code == "view.recording"])
    world.clock.advance(minutes=29)
    assert (await archivist.get(url)).status == 200
    world.clock.advance(minutes=29)
    assert (await archivist.get("/api/me")).status == 200
    world.clock.advance(minutes=3)
    assert (await archivist.get(url)).code == "archive.no_grant"  # the hour is over
    assert len([event for event in await world.events() if event.code == "view.recording"]) == views


async def test_the_doctor_watches_their_own_and_the_patient_learns_of_both(world: World) -> None:
    recording = await played(world)
    doctor = await world.staff("city", Role.ATTENDING)
    opened = await doctor.post(f"/api/archive/recordings/{recording.id}/view")
    assert opened.status == 200
    async with world.db.begin() as tx:
        seats = await tx.seats.find(consult_id=recording.consult_id, role=Role.PATIENT)
        issued = await world.parts.services.link_door.issue(tx, seats[0], "system")
    patient = await world.browser()
    await patient.post("/api/links/redeem", secret=issued.secret)
    after = (await patient.get("/api/seat/after")).body
    assert [row["what"] for row in after["viewers"]] == ["recording"]
    assert after["recording"]["kept_until"] == "2029-03-02"


async def test_due_held_proposed_approved_destroyed_certified(world: World) -> None:
    old = await due(world)
    archivist = await world.staff("city", Role.ARCHIVIST)
    listed = (await archivist.get("/api/archive/due")).body["items"]
    assert [row["record_class"] for row in listed] == ["process.av"]
    assert listed[0]["citations"]
    assert (await archivist.get("/api/archive/due?at=2029-03-01")).body["items"] == []

    held = await archivist.post("/api/archive/holds", consult_id=old.recording.consult_id, reason="投诉 17 号")
    refused = await archivist.post("/api/archive/disposals", record_ids=[old.record_id], reason="到期")
    assert (refused.status, refused.code) == (409, "archive.held")
    assert (await archivist.post(f"/api/archive/holds/{held.body['id']}/lift", reason="x")).code == "access.denied"
    first = await world.staff("city", Role.APPROVER)
    assert (await first.post(f"/api/archive/holds/{held.body['id']}/lift", reason="投诉已结")).status == 200

    proposal = (await archivist.post("/api/archive/disposals", record_ids=[old.record_id], reason="到期")).body
    assert (proposal["state"], proposal["approvals_needed"]) == ("proposed", 2)
    approve = f"/api/archive/disposals/{proposal['id']}/approve"
    wanted = {"list_sha256": proposal["list_sha256"]}
    assert (await first.post(approve, **wanted)).code == "step_up.required"
    await first.post("/api/step-up", password=PASSWORD)
    assert (await first.post(approve, list_sha256="0" * 64)).code == "archive.list_changed"
    assert (await first.post(approve, **wanted)).body["state"] == "proposed"
    again = await first.post(approve, **wanted)
    assert (again.status, again.code) == (403, "archive.same_hands")
    second_approver = world.houses["city"].second_approver
    assert second_approver is not None
    second = await world.login(second_approver.login)
    await second.post("/api/step-up", password=PASSWORD)
    done = await second.post(approve, **wanted)
    assert done.body["state"] == "done", done.body

    certificate = (await archivist.get(f"/api/archive/disposals/{proposal['id']}/certificate")).body
    assert certificate["seal"].count(".") == 2
    told = (await archivist.post(f"/api/archive/recordings/{old.recording.id}/view")).body
    assert told["view_id"] is None
    assert told["tracks"] == []
    assert told["destroyed"]["certificate_id"] == proposal["id"]
    assert len(told["destroyed"]["by"]) == 3
    assert not list((world.parts.settings.blobs_path).rglob("*.hzs"))
    report = verification.verify(world.parts.settings)
    assert report.findings == []


async def test_a_refused_proposal_leaves_the_records_as_they_were(world: World) -> None:
    old = await due(world)
    archivist, approver = await world.staff("city", Role.ARCHIVIST), await world.staff("city", Role.APPROVER)
    proposal = (await archivist.post("/api/archive/disposals", record_ids=[old.record_id], reason="到期")).body
    refused = await approver.post(f"/api/archive/disposals/{proposal['id']}/refuse", reason="还需要")
    assert refused.body["state"] == "refused"
    assert (await archivist.get("/api/archive/due")).body["items"][0]["state"] == "active"
    missing = await archivist.get(f"/api/archive/disposals/{proposal['id']}/certificate")
    assert missing.status == 404


@pytest.mark.parametrize("role", [Role.ARCHIVIST, Role.APPROVER, Role.AUDITOR])
async def test_the_trail_is_read_by_its_readers_and_private_parts_by_the_auditor(world: World, role: Role) -> None:
    await played(world)
    reader = await world.staff("city", role)
    rows = (await reader.get("/api/audit?limit=500")).body["items"]
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    some = (await reader.get(f"/api/audit?after={rows[4]['seq']}&limit=3")).body["items"]
    assert [row["seq"] for row in some] == [row["seq"] for row in rows[5:8]]
    assert any(row["private"] is not None for row in rows) is False or role is Role.AUDITOR
    note = (await reader.get("/api/audit/checkpoint")).body["note"]
    assert note.startswith("huizhen/audit/")
    proof = (await reader.post("/api/audit/verify")).body
    assert (proof["ok"], proof["findings"]) == (True, [])
    assert proof["counts"]["files"] == 4


async def test_what_is_due_is_put_on_record_by_the_scan(world: World) -> None:
    from huizhen import chores

    await due(world)
    house = world.houses["city"].institution.id
    assert await chores.scan(world.parts.services, house, world.clock()) == 1
    found = [event for event in await world.events() if event.code == "retention.due"]
    assert found[-1].public == {"count": 1, "blocked": 0}
    assert found[-1].at >= world.clock() - timedelta(seconds=1)
