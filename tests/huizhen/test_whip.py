"""Devices by WHIP and WHEP: a bearer token, an offer, an answer; gone with its seat."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from consent.records import Purpose
from huizhen import whip
from huizhen.tokens import TokenBook
from rtc.negotiation import Source
from tests.signaling.ward import Ward, ward
from tests.support.session_client import SessionClient

OFFER = "\r\n".join(
    [
        "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1",
        *(
            line
            for mid, kind, rtp in (("0", "audio", "111 opus/48000/2"), ("1", "video", "96 VP8/90000"))
            for line in (
                f"m={kind} 9 UDP/TLS/RTP/SAVPF {rtp.split()[0]}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=sendonly",
                "a=rtcp-mux", f"a=rtpmap:{rtp}", "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx",
                "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass",
            )
        ),
        "",
    ]
)  # fmt: skip


class Cart:
    def __init__(self, house: Ward, book: TokenBook, http: Any, doctor: SessionClient) -> None:
        self.house, self.book, self.http, self.doctor = house, book, http, doctor
        self.url = f"/whip/{house.consult.id}"

    def token(self, kind: Any = "whip", who: str = "doctor") -> str:
        seat = self.house.seats[who]
        return self.book.issue_device(
            seat_id=seat.id,
            consult_id=seat.consult_id,
            institution_id=seat.institution_id,
            kind=kind,
            label="超声",
        )

    async def post(self, token: str | None = None, body: str | bytes = OFFER, url: str = "", **headers: str) -> Any:
        given = {"Content-Type": "application/sdp", **headers}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        return await self.http.post(url or self.url, data=body, headers=given)


@pytest.fixture
async def cart() -> AsyncIterator[Cart]:
    house = await ward()
    book = TokenBook("n1", b"k" * 32, house.clock)
    app = web.Application()
    app.add_routes(whip.routes(house.live, book))
    doctor, _patient = await house.in_call()
    async with TestClient(TestServer(app)) as http:
        yield Cart(house, book, http, doctor)


async def test_a_device_publishes_on_behalf_of_its_seat(cart: Cart) -> None:
    answer = await cart.post(cart.token())
    assert answer.status == 201
    assert answer.content_type == "application/sdp"
    assert (await answer.text()).startswith("answer to")
    (device,) = cart.house.inside - {seat.id for seat in cart.house.seats.values()}
    assert device.startswith(cart.doctor.seat.id + ".")
    participant = cart.house.room.people[device]
    assert participant.grants.publish == {Source.MICROPHONE, Source.CAMERA}
    assert not participant.grants.subscribe
    assert participant.offers[0].sources == {"0": Source.MICROPHONE, "1": Source.CAMERA}
    seen = cart.doctor.seats[device]
    assert (seen["role"], seen["display_name"], seen["state"]) == ("device", "超声", "admitted")
    cart.house.room.publish(device, Source.CAMERA)
    assert cart.doctor.seats[device]["publishing"] == ["camera"]
    assert device not in cart.house.live.present(cart.house.consult.id), "a device is nobody to ask for consent"

    gone = await cart.http.delete(answer.headers["Location"], headers={"Authorization": f"Bearer {cart.token()}"})
    assert gone.status == 404, "another token's resource"


async def test_delete_ends_the_stream(cart: Cart) -> None:
    token = cart.token()
    answer = await cart.post(token)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await cart.http.patch(answer.headers["Location"], headers=headers)).status == 405
    assert (await cart.http.delete(cart.url + "/guess", headers=headers)).status == 404
    assert (await cart.http.delete(answer.headers["Location"], headers=headers)).status == 200
    assert len(cart.house.inside) == 2
    assert (await cart.http.delete(answer.headers["Location"], headers=headers)).status == 404
    assert next(seat for seat in cart.doctor.seats.values() if seat["role"] == "device")["state"] == "left"


async def test_the_same_token_again_replaces_its_stream(cart: Cart) -> None:
    token = cart.token()
    first, second = await cart.post(token), await cart.post(token)
    assert (first.status, second.status) == (201, 201)
    assert first.headers["Location"] != second.headers["Location"]
    assert len(cart.house.inside) == 3


async def test_a_wall_watches_and_sends_nothing(cart: Cart) -> None:
    url = f"/whep/{cart.house.consult.id}"
    answer = await cart.post(cart.token("whep"), OFFER.replace("sendonly", "recvonly"), url)
    assert answer.status == 201
    (device,) = cart.house.inside - {seat.id for seat in cart.house.seats.values()}
    grants = cart.house.room.people[device].grants
    assert grants.subscribe
    assert grants.publish == frozenset()


async def test_tokens_open_their_own_door_only(cart: Cart) -> None:
    for token in (None, "", "forged", cart.token("whep"), cart.token()[:-3]):
        answer = await cart.post(token)
        assert answer.status == 401
        assert answer.content_type == "application/problem+json"
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert (await cart.post(cart.token(), url="/whip/" + "f" * 32)).status == 401
    token = cart.token()
    cart.house.clock.advance(hours=13)
    assert (await (await cart.post(token)).json())["code"] == "token.expired"
    assert len(cart.house.inside) == 2


async def test_malformed_offers_change_nothing(cart: Cart) -> None:
    for body, status, code in (
        ("garbage", 400, "media.malformed"),
        (b"\xff\xfe", 400, "media.malformed"),
        ("", 400, "media.malformed"),
        (OFFER.replace("s=-", "s=refused"), 400, "media.offer_refused"),
        ("x" * 300_000, 413, "input.too_large"),
    ):
        answer = await cart.post(cart.token(), body)
        assert (answer.status, (await answer.json())["code"]) == (status, code)
    assert (await cart.post(cart.token(), **{"Content-Type": "text/plain"})).status == 415
    assert len(cart.house.inside) == 2
    assert cart.house.live.rooms[cart.house.consult.id].devices == {}


async def test_a_device_goes_with_its_seat_and_does_not_come_back(cart: Cart) -> None:
    nurse = cart.house.page("nurse")
    await nurse.join()
    token = cart.token(who="nurse")
    assert (await cart.post(token)).status == 201
    assert (await cart.doctor.act("remove", seat=nurse.seat.id))["ok"]
    assert len(cart.house.inside) == 2
    answer = await cart.post(token)
    assert (answer.status, (await answer.json())["code"]) == (409, "session.over")


async def test_the_doctor_takes_a_device_out(cart: Cart) -> None:
    await cart.post(cart.token())
    (device,) = cart.house.inside - {seat.id for seat in cart.house.seats.values()}
    assert (await cart.doctor.act("remove", seat=device))["ok"]
    assert device not in cart.house.inside


async def test_devices_per_seat_are_few(cart: Cart) -> None:
    statuses = [(await cart.post(cart.token())).status for _ in range(6)]
    assert statuses == [201, 201, 201, 201, 503, 503]


async def test_whoever_has_not_been_admitted_has_no_device(cart: Cart) -> None:
    await cart.house.sign("daughter", permitted=(Purpose.REC_AV,))
    daughter = cart.house.page("daughter")
    await daughter.join()
    assert (await cart.post(cart.token(who="daughter"))).status == 409


async def test_options_tell_nothing_of_the_room(cart: Cart) -> None:
    for url in (cart.url, "/whip/unknown", "/whep/unknown"):
        answer = await cart.http.options(url)
        assert (answer.status, answer.headers["Accept-Post"]) == (204, "application/sdp")
