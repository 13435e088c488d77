"""Stills of the call: of a device or a screen that is on, never in private, and on record in the case."""

import io
from typing import Any

import pytest
from PIL import Image

from rtc.negotiation import Source
from signaling import stills
from signaling.devices import DevicePass, open_stream
from signaling.errors import NotJoined, RoomOver
from signaling.stills import NoStillSource, StillOf, StillPrivate
from tests.huizhen.test_whip import OFFER, Cart, cart
from tests.huizhen.world import Browser, Reply, World, operation
from tests.images.table import first, panel, value
from tests.inspection import corpus
from tests.signaling.panel_ward import panel_ward
from tests.support import dicom

__all__ = ["cart"]


def screen(width: int = 1920, height: int = 1080) -> bytes:
    """As a canvas gives it: every pixel its own."""
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


async def on_air(cart: Cart) -> str:
    await cart.post(cart.token())
    (device,) = cart.house.inside - {seat.id for seat in cart.house.seats.values()}
    return device


async def test_of_a_device_and_of_a_screen_that_are_on(cart: Cart) -> None:
    live, consult, doctor = cart.house.live, cart.house.consult.id, cart.doctor.seat.id
    device = await on_air(cart)
    for nothing in (device, doctor, cart.house.seats["patient"].id, "", f"{doctor}.ffffffff"):
        with pytest.raises(NoStillSource):
            stills.may_take(live, consult, doctor, nothing)
    cart.house.room.publish(device, Source.CAMERA)
    assert stills.may_take(live, consult, doctor, device) == StillOf(device, Source.CAMERA)
    cart.house.room.publish(doctor, Source.CAMERA)
    with pytest.raises(NoStillSource):
        stills.may_take(live, consult, doctor, doctor)  # a person's camera is no source
    cart.house.room.publish(doctor, Source.SCREEN)
    assert stills.may_take(live, consult, doctor, doctor) == StillOf(doctor, Source.SCREEN)
    for nobody in (None, "f" * 32):
        with pytest.raises(NotJoined):
            stills.may_take(live, consult, nobody, device)
    with pytest.raises(RoomOver):
        stills.may_take(live, "f" * 32, doctor, device)


async def test_never_while_somebody_asked_for_privacy(cart: Cart) -> None:
    live, consult, doctor = cart.house.live, cart.house.consult.id, cart.doctor.seat.id
    device = await on_air(cart)
    cart.house.room.publish(device, Source.CAMERA)
    assert (await cart.doctor.act("privacy.pause"))["ok"]
    with pytest.raises(StillPrivate):
        stills.may_take(live, consult, doctor, device)
    assert (await cart.doctor.act("privacy.resume"))["ok"]
    assert stills.may_take(live, consult, doctor, device)
    live.rooms[consult].veils.add("exam")
    with pytest.raises(StillPrivate):
        stills.may_take(live, consult, doctor, device)
    live.rooms[consult].veils.clear()
    live.rooms[consult].ended = True
    with pytest.raises(RoomOver):
        stills.may_take(live, consult, doctor, device)


async def test_a_cart_is_a_named_source_of_the_panel_and_no_still_while_the_experts_are_aside() -> None:
    house = await panel_ward()
    pages = await house.opened()
    doctor, consult = house.seats["doctor"].id, house.consult.id
    await open_stream(house.live, DevicePass("0" * 8, doctor, consult, "whip", "推车超声"), OFFER)
    cart = f"{doctor}.{'0' * 8}"
    house.room.publish(cart, Source.CAMERA)
    for who in ("expert", "chair", "patient"):
        seen = pages[who].seats[cart]
        assert (seen["role"], seen["display_name"], seen["publishing"]) == ("device", "推车超声", ["camera"]), who
    assert stills.may_take(house.live, consult, doctor, cart)
    assert (await pages["chair"].act("side.start"))["ok"]
    with pytest.raises(StillPrivate):
        stills.may_take(house.live, consult, doctor, cart)
    assert (await pages["chair"].act("side.leave"))["ok"]
    assert stills.may_take(house.live, consult, doctor, cart)


async def still(browser: Browser, consult: str, data: bytes, kind: str = "image/png") -> Reply:
    headers = {"X-Operation": operation(), "X-Still-Of": "s.1", "Content-Type": kind}
    return await browser.call("POST", f"/api/consults/{consult}/images/stills", data=data, headers=headers)


async def test_into_the_case_at_its_own_size_and_on_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await panel(world)
    assert (await still(stage.clinic, stage.consult, screen())).code == "session.over"
    asked: list[Any] = []

    def allowed(*given: Any) -> StillOf:
        asked.append(given)
        return StillOf("s.1", Source.CAMERA)

    monkeypatch.setattr(stills, "may_take", allowed)
    taken = await still(stage.clinic, stage.consult, screen())
    assert taken.status == 200, taken.raw
    assert len(asked) == 2, "before the picture and again with its row"
    assert (await still(stage.clinic, stage.consult, screen())).status == 200, "the same picture is there already"
    (study,) = (await stage.clinic.get(f"/api/consults/{stage.consult}/images")).body["studies"]
    (series,) = study["series"]
    assert (series["description"], series["kinds"], series["instances"]) == (
        "通话截图 Stills of the call",
        ["photo"],
        1,
    )
    (row,) = (await stage.clinic.get(series["url"].replace("/metadata", "/instances"))).body
    assert (value(row, "00280011"), value(row, "00280010")) == (1920, 1080)
    assert value(row, "00080016") == "1.2.840.10008.5.1.4.1.1.7"
    (event,) = [each for each in await stage.events() if each.code == "images.still_taken"]
    assert event.public["stream"] == "s.1"
    assert event.public["source"] == "camera"
    for data, kind in ((corpus.pdf(), "image/png"), (dicom.ct(0, 16), "image/png"), (b"<svg/>", "image/png")):
        assert (await still(stage.clinic, stage.consult, data, kind)).code == "upload.unknown_type"
    assert (await still(stage.expert, stage.consult, screen())).code == "access.denied"
    assert await first(stage.clinic, f"/api/consults/{stage.consult}/dicomweb/studies")


async def test_what_turned_private_meanwhile_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await panel(world)
    answers: list[Any] = [StillOf("s.1", Source.SCREEN), StillPrivate()]

    def turned(*_: Any) -> StillOf:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(stills, "may_take", turned)
    assert (await still(stage.clinic, stage.consult, screen(64, 64))).code == "images.still_private"
    async with world.db.read() as tx:
        assert await tx.image_instances.find() == []
    refused = [event.outcome for event in await stage.events() if event.code == "images.refused"]
    assert refused == ["images.still_private"]
