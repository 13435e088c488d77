"""A county consult with a patient, the inviting doctor, and an expert of the city hospital who took the invitation.

The patient had agreed to it and has taken their word back: `sign` gives it anew.
"""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from clinic.consult import ConsultKind
from clinic.people import Role
from tests.huizhen.world import Booked, Browser, Reply, World, ask_experts, operation
from tests.huizhen.world import sign as signed


@dataclass(slots=True)
class Panel:
    world: World
    booked: Booked
    patient: Browser
    clinic: Browser
    expert: Browser

    @property
    def consult(self) -> str:
        return self.booked.consult.id

    @property
    def base(self) -> str:
        return f"/api/consults/{self.consult}/dicomweb/studies"

    async def events(self) -> list[Any]:
        return await self.world.events("county")


async def panel(world: World) -> Panel:
    booked = await world.book("county", ConsultKind.EXPERT_CONSULT)
    patient, clinic = await world.patient(booked), await world.staff("county", Role.INVITING)
    city = world.houses["city"]
    invited = city.staff[Role.EXPERT].id
    case: dict[str, Any] = {
        "expert_ids": [invited],
        "chair_id": invited,
        "reason": "咳嗽待查",
        "aim": "明确诊断",
        "summary": "胸部CT",
        "wanted_specialty": "呼吸内科",
    }
    await ask_experts(world, booked, clinic, patient, sharing=False, **case)
    expert = await world.staff("city", Role.EXPERT)
    asked = (await expert.get("/api/invitations")).body["items"]
    invitation = next(each for each in asked if each["state"] == "sent")
    await expert.post(f"/api/invitations/{invitation['id']}/answer", accept=True)
    return Panel(world, booked, patient, clinic, expert)


async def sign(patient: Browser) -> Reply:
    """The patient shares (again): until then they do not."""
    return await signed(patient, again=True)


async def stow(
    browser: Browser, base: str, *files: bytes, media_type: str = "application/dicom", op: str = ""
) -> Reply:
    """One file as it is, several as multipart/related."""
    headers = {"X-Operation": op or operation()}
    if len(files) == 1:
        return await browser.call("POST", base, data=files[0], headers=headers | {"Content-Type": media_type})
    boundary = uuid4().hex
    body = b"".join(f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode() + data + b"\r\n" for data in files)
    kind = f'multipart/related; type="{media_type}"; boundary={boundary}'
    data = body + f"--{boundary}--\r\n".encode()
    return await browser.call("POST", base, data=data, headers=headers | {"Content-Type": kind})


def parts(reply: Reply) -> list[bytes]:
    """Of a multipart/related answer."""
    boundary = reply.headers["Content-Type"].rpartition("boundary=")[2].encode()
    found = reply.raw.split(b"--" + boundary)[1:-1]
    return [part.partition(b"\r\n\r\n")[2][:-2] for part in found]


def value(item: dict[str, Any], tag: str) -> Any:
    return item[tag]["Value"][0]


async def opened(browser: Browser, base: str) -> tuple[str, list[dict[str, Any]]]:
    """Path of the first series and its metadata."""
    study = value(await first(browser, base), "0020000D")
    series = value(await first(browser, f"{base}/{study}/series"), "0020000E")
    path = f"{base}/{study}/series/{series}"
    reply = await browser.get(f"{path}/metadata")
    assert reply.status == 200, reply.body
    return path, reply.body


async def first(browser: Browser, path: str) -> dict[str, Any]:
    reply = await browser.get(path)
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.body[0]
    return found


__all__ = ["Panel", "first", "opened", "panel", "parts", "sign", "stow", "value"]
