"""No name, token, number or free text of a person in logs, metrics or URLs, through all flows."""

import io
import json
import logging

from clinic.people import Role
from huizhen import logs
from tests.huizhen.shelf import played
from tests.huizhen.world import ID_NUMBER, NAMES, PASSWORD, PATIENT_NAME, PHONE, World, operation, settings_for, sign

COMPLAINT = "canary-complaint-胸口闷痛"


async def test_nothing_personal_in_logs_and_metrics(world: World) -> None:
    captured = io.StringIO()
    before = logging.getLogger().handlers[:], logging.getLogger().level
    logs.configure(settings_for(world.parts.settings.data_dir, log_level="debug"), captured)
    try:
        canaries = await _walk_through_everything(world)
        logging.getLogger("aiohttp.access").warning("GET /p#%s from %s", canaries[0], "203.0.113.9")
        logging.getLogger("sqlalchemy").error("parameters: %s", PATIENT_NAME)
        logging.getLogger("signaling.live").warning("told %s", PATIENT_NAME, extra={"name_of": PATIENT_NAME})
        try:
            raise ValueError(PATIENT_NAME)
        except ValueError:
            logging.getLogger("huizhen.any").exception("failed for %s", PATIENT_NAME)
            logs.get("test").error("failed", patient=PATIENT_NAME, error=PATIENT_NAME, where="203.0.113.9")
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
    written = captured.getvalue()
    assert written.count("\n") >= 5
    assert "huizhen.any" in written
    figures = world.parts.services.metrics.render().decode()
    assert "huizhen_http_requests_total" in figures
    for canary in [*canaries, "203.0.113.9"]:
        assert canary not in written, canary
        assert canary not in figures, canary
    for line in written.splitlines():
        json.loads(line)


async def _walk_through_everything(world: World) -> list[str]:
    booked = await world.book()
    patient = await world.patient(booked)
    await sign(patient)
    ticket = (await patient.post("/api/seat/ticket")).body["ticket"]
    doctor = await world.staff("city", Role.ATTENDING)
    path = f"/api/consults/{booked.consult.id}"
    await doctor.put(f"{path}/note", complaint=COMPLAINT, findings="", diagnosis="", advice="")
    await doctor.get(f"/api/consults?q={PATIENT_NAME}")
    guest = await doctor.post(f"{path}/seats", role="family", display_name="某家属", relation="女儿")
    token = (await doctor.post(f"{path}/device-token", kind="whip", label="推车")).body
    await doctor.post(f"{path}/close")  # refused
    await (await world.browser()).post("/api/login", login=PATIENT_NAME, password=PASSWORD)
    await (await world.browser()).post("/api/links/redeem", secret=booked.secret, second_factor=ID_NUMBER[-4:])
    await played(world)
    archivist = await world.staff("city", Role.ARCHIVIST)
    await archivist.get(f"/api/archive/recordings?q={PATIENT_NAME}")
    await patient.call("POST", "/api/seat/consent", {"op": operation(), "typed_name": PATIENT_NAME})
    await patient.post("/api/seat/consent/withdraw", purposes=["rec_av"], reason=COMPLAINT)
    secret = guest.body["link"]["url"].partition("#")[2]
    names = [member.name for house in world.houses.values() for member in house.staff.values()]
    return [
        booked.secret,
        secret,
        ticket,
        token.get("token", ticket),
        patient.cookie("hz_device"),
        doctor.cookie("hz_staff"),
        patient.csrf,
        PATIENT_NAME,
        ID_NUMBER,
        PHONE,
        PASSWORD,
        COMPLAINT,
        "某家属",
        *names,
        *NAMES.values(),
    ]


async def test_links_carry_their_secret_in_the_fragment_only(world: World) -> None:
    booked = await world.book()
    doctor = await world.staff("city", Role.ATTENDING)
    link = (await doctor.post(f"/api/consults/{booked.consult.id}/seats/{booked.patient.id}/link")).body["url"]
    before, _, secret = link.partition("#")
    assert before == f"{world.base}/p"
    assert len(secret) == 22


async def test_leaves_hold_no_personal_data(world: World) -> None:
    await _walk_through_everything(world)
    from huizhen.api import render

    async with world.db.read() as tx:
        for house in world.houses.values():
            for event in await render.trail(tx, house.institution.id):
                said = json.dumps(dict(event.public), ensure_ascii=False)
                for canary in (PATIENT_NAME, ID_NUMBER, PHONE, COMPLAINT, "某家属", *NAMES.values()):
                    assert canary not in said, event.code
