"""Logins, links, cookies and what they refuse."""

import time

from clinic.people import Role
from tests.huizhen.world import ID_NUMBER, PASSWORD, World, operation


async def test_login_gives_a_strict_cookie_and_me(world: World) -> None:
    browser = await world.browser()
    reply = await browser.post("/api/login", login=world.houses["city"].login(Role.ATTENDING), password=PASSWORD)
    assert reply.status == 200
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("hz_staff=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie  # plain http in this test
    me = (await browser.get("/api/me")).body
    assert me["staff"]["roles"] == ["attending"]
    assert me["institution"]["short_name"] == "city"
    assert me["csrf"] == reply.body["csrf"]


async def test_wrong_password_unknown_login_and_disabled_account_look_the_same(world: World) -> None:
    browser = await world.browser()
    admin = await world.staff("city", Role.ADMIN)
    nurse = world.houses["city"].staff[Role.NURSE]
    assert (await admin.put(f"/api/admin/staff/{nurse.id}", state="disabled")).body["state"] == "disabled"
    answers = [
        await browser.post("/api/login", login=login, password=password)
        for login, password in (
            (world.houses["city"].login(Role.ATTENDING), "wrong horse 7"),
            ("nobody-at-all", PASSWORD),
            (nurse.login, PASSWORD),
        )
    ]
    assert {(reply.status, reply.raw) for reply in answers} == {(401, answers[0].raw)}
    assert answers[0].code == "login.refused"
    refused = [event for event in await world.events() if event.code == "auth.login_refused"]
    assert {event.subject_id for event in refused} == {world.houses["city"].staff[Role.ATTENDING].id, nurse.id}


async def test_an_unknown_login_costs_the_same_hash(world: World) -> None:
    passwords = world.parts.services.staff_door._passwords
    stored = await passwords.hash(PASSWORD)
    await passwords.verify(None, PASSWORD)  # the first call prepares the hash of nobody

    async def median(known: str | None) -> float:
        spent = []
        for _ in range(9):
            started = time.perf_counter()
            await passwords.verify(known, "wrong horse 7")
            spent.append(time.perf_counter() - started)
        return sorted(spent)[4]

    unknown, known = await median(None), await median(stored)
    assert 0.2 < unknown / known < 5
    assert await passwords.verify(None, "nobody has this password") is False


async def test_failures_are_limited_per_account_and_forgotten_by_time(world: World) -> None:
    browser = await world.browser()
    login = world.houses["city"].login(Role.APPROVER)
    for _ in range(5):
        assert (await browser.post("/api/login", login=login, password="wrong horse 7")).code == "login.refused"
    locked = await browser.post("/api/login", login=login, password=PASSWORD)
    assert (locked.status, locked.code, locked.headers["Retry-After"]) == (429, "rate.limited", "60")
    other = await browser.post("/api/login", login=world.houses["city"].login(Role.NURSE), password=PASSWORD)
    assert other.status == 200


async def test_session_id_changes_at_login_and_the_old_one_is_worthless(world: World) -> None:
    browser = await world.staff("city", Role.NURSE)
    before = browser.cookie("hz_staff")
    login = world.houses["city"].login(Role.NURSE)
    assert (await browser.post("/api/login", login=login, password=PASSWORD)).status == 200
    assert browser.cookie("hz_staff") != before
    thief = await world.browser()
    reply = await thief.get("/api/me", headers={"Cookie": f"hz_staff={before}"})
    assert (reply.status, reply.code) == (401, "session.required")


async def test_sessions_end_by_idleness_by_age_and_by_logout(world: World) -> None:
    idle, active, leaving = [await world.staff("city", Role.NURSE) for _ in range(3)]
    for _ in range(17):
        world.clock.advance(minutes=29)
        if _ == 0:
            assert (await leaving.post("/api/logout")).status == 200
            assert (await leaving.get("/api/me")).status == 401
        if _ < 16:
            assert (await active.get("/api/me")).status == 200
    assert (await idle.get("/api/me")).status == 401
    assert (await active.get("/api/me")).status == 401  # eight hours are over
    assert await world.parts.services.staff_door.expire() == 2


async def test_mutations_need_the_csrf_token_and_our_own_page(world: World) -> None:
    browser = await world.staff("city", Role.ATTENDING)
    body = {"op": operation()}
    for headers in (
        {"X-CSRF": ""},
        {"X-CSRF": "0" * 32},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        reply = await browser.call("POST", "/api/logout", body, headers=headers)
        assert (reply.status, reply.code) == (403, "csrf.invalid"), headers
    assert (await browser.get("/api/me")).status == 200
    login = await (await world.browser()).call(
        "POST",
        "/api/login",
        {"login": world.houses["city"].login(Role.NURSE), "password": PASSWORD},
        headers={"Origin": "https://evil.example"},
    )
    assert login.code == "csrf.invalid"
    own = await browser.call("POST", "/api/logout", body, headers={"Origin": world.base})
    assert own.status == 200


async def test_step_up_is_asked_again_after_five_minutes(world: World) -> None:
    browser = await world.staff("city", Role.APPROVER)
    assert (await browser.post("/api/step-up", password="wrong horse 7")).code == "step_up.refused"
    assert (await browser.get("/api/me")).body["step_up_until"] is None
    until = (await browser.post("/api/step-up", password=PASSWORD)).body["step_up_until"]
    assert (await browser.get("/api/me")).body["step_up_until"] == until
    world.clock.advance(minutes=5)
    assert (await browser.get("/api/me")).body["step_up_until"] is None


async def test_a_link_opens_once_freely_then_with_the_second_factor(world: World) -> None:
    booked = await world.book()
    first, second = await world.browser(), await world.browser()
    assert (await first.post("/api/links/redeem", secret=booked.secret)).status == 200
    assert (await first.post("/api/links/redeem", secret=booked.secret)).status == 200  # the same device again
    asked = await second.post("/api/links/redeem", secret=booked.secret)
    assert (asked.status, asked.body["ask"]) == (401, "id_last4")
    assert (await second.post("/api/links/redeem", secret=booked.secret, second_factor="0000")).status == 401
    opened = await second.post("/api/links/redeem", secret=booked.secret, second_factor=ID_NUMBER[-4:])
    assert opened.status == 200
    codes = [event.code for event in await world.events() if event.subject_id == booked.patient.id]
    assert codes == ["link.issued", "link.redeemed", "link.redeemed", "link.refused", "link.redeemed"]


async def test_five_wrong_factors_lock_the_link(world: World) -> None:
    booked = await world.book()
    await world.patient(booked)
    thief = await world.browser()
    for number in range(5):
        reply = await thief.post("/api/links/redeem", secret=booked.secret, second_factor=f"{number:04d}")
        assert reply.code == "link.second_factor"
    world.parts.services.link_door._attempts._limiter.storage.reset()  # another minute, another address
    locked = await thief.post("/api/links/redeem", secret=booked.secret, second_factor=ID_NUMBER[-4:])
    assert (locked.status, locked.code) == (403, "link.locked")


async def test_unknown_and_expired_links_and_devices(world: World) -> None:
    booked = await world.book()
    browser = await world.browser()
    assert (await browser.post("/api/links/redeem", secret="A" * 22)).code == "link.unknown"
    assert (await browser.post("/api/links/redeem", secret="../../etc")).code == "link.unknown"
    opened = await world.patient(booked)
    world.clock.advance(days=14)
    assert (await browser.post("/api/links/redeem", secret=booked.secret)).code == "link.expired"
    assert (await opened.get("/api/seat")).code == "session.required"
    assert await world.parts.services.link_door.expire() == 1


async def test_no_secret_is_in_the_database(world: World) -> None:
    booked = await world.book()
    patient = await world.patient(booked)
    doctor = await world.staff("city", Role.ATTENDING)
    secrets = (booked.secret, patient.cookie("hz_device"), doctor.cookie("hz_staff"), patient.csrf, PASSWORD)
    folder = world.parts.settings.data_dir
    stored = b"".join(path.read_bytes() for path in folder.glob("huizhen.db*"))
    assert stored
    for secret in secrets:
        assert secret.encode() not in stored


async def test_a_device_cookie_is_no_staff_cookie_and_the_reverse(world: World) -> None:
    booked = await world.book()
    patient, doctor = await world.patient(booked), await world.staff("city", Role.ATTENDING)
    crossed = await world.browser()
    staff_as_device = {"Cookie": f"hz_device={doctor.cookie('hz_staff')}"}
    device_as_staff = {"Cookie": f"hz_staff={patient.cookie('hz_device')}"}
    assert (await crossed.get("/api/seat", headers=staff_as_device)).status == 401
    assert (await crossed.get("/api/me", headers=device_as_staff)).status == 401
    for cookie in ("", "x", "é" * 30, "A" * 5000):
        reply = await crossed.get("/api/me", headers={"Cookie": f"hz_staff={cookie}"})
        assert reply.status in (400, 401)
