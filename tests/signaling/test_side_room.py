"""The experts' side-room (HZ-34): nothing of it on anybody else's wire, nor in the recorder's tap."""

import asyncio
from typing import Any

import pytest

from rtc.negotiation import Source
from rtc.participant import Grants
from signaling.devices import DevicePass, open_stream
from signaling.stills import StillPrivate, may_take
from tests.huizhen.test_whip import OFFER
from tests.signaling.panel_stage import MEMBERS, Scene, staged
from tests.signaling.panel_ward import panel_ward

OTHERS = ("doctor", "patient", "third", "daughter", "interpreter", "student")


@pytest.fixture
async def scene() -> Scene:
    return await staged()


async def test_not_one_packet_of_who_is_aside_reaches_anybody_else_or_the_recorder(scene: Scene) -> None:
    speakers = set(scene.pages) - {"student"}
    for guest in ("daughter", "interpreter", "student"):
        scene.stage.connect(guest)
    scene.stage.run(0.6)
    assert scene.flow("patient") == speakers - {"patient"}
    started = scene.now
    begin = scene.house.db.begin

    def slow() -> Any:
        """While the first commit is under way the media is apart already."""
        scene.house.db.begin = begin  # type: ignore[method-assign]
        since = scene.now
        scene.stage.run(0.5)
        assert "chair" not in scene.stage.senders("patient", since)
        assert "chair" not in scene.ear.senders(since)
        assert "side.started" not in scene.house.db.codes()
        return begin()

    scene.house.db.begin = slow  # type: ignore[method-assign]
    assert (await scene.act("chair", "side.start"))["ok"]
    first = scene.now
    assert (await scene.act("expert", "side.enter"))["ok"]
    both_in = scene.now
    scene.stage.run(3)
    for viewer in OTHERS:
        assert "chair" not in scene.stage.senders(viewer, started), viewer
        assert "expert" not in scene.stage.senders(viewer, both_in), viewer
    assert "chair" not in scene.ear.senders(started)
    assert scene.ear.senders(both_in) == speakers - {"chair", "expert"}, "the others are recorded as before"
    heard = scene.stage.senders("chair", both_in)
    assert "expert" in heard
    assert scene.flow("expert") & {"chair"}
    assert first <= both_in
    side = scene.pages["patient"].panel["side"]
    assert side["members"] == sorted(scene.house.seats[who].id for who in MEMBERS)
    assert side["since"].startswith("2026")
    ended = scene.now
    assert (await scene.act("expert", "side.leave"))["ok"]
    assert (await scene.act("chair", "side.leave"))["ok"]
    scene.stage.run(2)
    assert "side" not in scene.pages["patient"].panel
    assert scene.stage.senders("patient", ended) == speakers - {"patient"}, "leaving gives everything back"
    assert scene.ear.senders(ended) == speakers
    assert [code for code in scene.house.db.codes() if code.startswith("side.")] == [
        "side.started",
        "side.entered",
        "side.left",
        "side.ended",
    ]
    (row,) = scene.house.db.rows("side_rooms")
    assert (row.inside, len(row.came), row.ended_at is not None) == ((), 2, True)


def sounds(scene: Scene, viewer: str, since: int) -> set[str]:
    """Whose voice: a fake voice packet is small."""
    later = [data for at, data in scene.stage.heard[viewer] if at > since + 45_000_000 and len(data) < 200]
    return {who for who in scene.pages for data in later if data.endswith(f"<{who}>".encode())}


async def test_who_is_aside_hears_the_others_only_by_choice_and_everybody_sees_the_choice(scene: Scene) -> None:
    await scene.act("chair", "side.start")
    await scene.act("expert", "side.enter")
    since = scene.now
    scene.stage.run(0.6)
    assert sounds(scene, "chair", since) == {"expert"}
    assert "patient" in scene.stage.senders("chair", since), "the pictures of the others stay"
    assert (await scene.act("chair", "side.listen", on=True))["ok"]
    since = scene.now
    scene.stage.run(0.6)
    assert {"patient", "doctor", "expert"} <= sounds(scene, "chair", since)
    assert sounds(scene, "expert", since) == {"chair"}
    assert scene.pages["patient"].panel["side"]["hearing"] == [scene.house.seats["chair"].id]
    assert "chair" not in scene.stage.senders("patient", since)
    await scene.act("chair", "side.listen", on=False)
    since = scene.now
    scene.stage.run(0.6)
    assert sounds(scene, "chair", since) == {"expert"}
    assert (await scene.act("patient", "side.listen", on=True))["code"] == "access.denied"
    assert (await scene.act("third", "side.listen", on=True))["code"] == "panel.no_side_room"


async def test_a_newcomer_a_reload_and_a_removal_open_no_gap_in_the_wall(scene: Scene) -> None:
    await scene.act("chair", "side.start")
    await scene.act("expert", "side.enter")
    since = scene.now
    scene.stage.connect("daughter")
    scene.pages["daughter"].reload()
    assert (await scene.pages["daughter"].join())["ok"]
    scene.pages["chair"].lose()
    scene.stage.run(0.6)
    assert (await scene.pages["chair"].join(resume=True))["ok"]
    scene.follow()
    assert (await scene.act("doctor", "remove", seat=scene.house.seats["third"].id))["ok"]
    scene.stage.run(0.6)
    for viewer in ("doctor", "patient", "daughter"):
        assert not {"chair", "expert"} & scene.stage.senders(viewer, since), viewer
    assert not {"chair", "expert"} & scene.ear.senders(since)
    assert (await scene.act("expert", "leave"))["ok"]
    assert scene.pages["patient"].panel["side"]["members"] == [scene.house.seats["chair"].id]
    scene.pages["chair"].lose()
    await scene.house.tick(61)
    assert "side" not in scene.pages["patient"].panel, "the last one out ended it"


async def test_a_withdrawn_sharing_takes_experts_out_of_the_side_room_too(scene: Scene) -> None:
    """SHARE_PANEL withdrawn: within two seconds no media, no images, whoever is aside included."""
    await scene.act("chair", "side.start")
    await scene.act("expert", "side.enter")
    since = scene.now
    assert (await scene.act("patient", "consent.withdraw", purposes=["share_panel"]))["ok"]
    scene.stage.run(2)
    for who in ("chair", "expert", "third"):
        assert scene.house.seats[who].id not in scene.stage.conference.room.participants
        assert scene.pages[who].told("removed")[-1]["reason"] == "consent_withdrawn"
        assert scene.stage.senders(who, since) == set()
        assert scene.house.seat_row(who).state == "left"
        looked = await scene.pages[who].emit("table.since", epoch="", version=0)
        assert looked["ok"] is False
        ticket = await scene.pages[who].join(takeover=True)
        assert ticket["code"] == "consent.missing"
    assert "side" not in scene.pages["patient"].panel
    assert scene.house.db.rows("side_rooms")[0].ended_at is not None
    assert scene.stage.senders("patient", since) >= {"doctor"}


async def test_a_new_signature_that_names_one_house_less_takes_only_its_people_out(scene: Scene) -> None:
    await scene.act("chair", "side.start")
    await scene.act("third", "side.enter")
    since = scene.now
    await scene.house.agree(only=(scene.house.world.partner.id,))
    scene.stage.run(0.6)
    assert scene.house.seats["third"].id not in scene.stage.conference.room.participants
    assert scene.stage.senders("third", since) == set()
    assert scene.pages["third"].told("removed")[-1]["reason"] == "consent_withdrawn"
    assert (await scene.pages["third"].join(takeover=True))["reasons"] == ["share_panel"]
    assert scene.pages["patient"].panel["side"]["members"] == [scene.house.seats["chair"].id]
    assert scene.house.seats["expert"].id in scene.stage.conference.room.participants
    assert "expert" in scene.stage.senders("patient", since)


async def test_a_start_the_database_cannot_take_holds_all_the_same(scene: Scene) -> None:
    begin, failing = scene.house.db.begin, True
    waiting, go = asyncio.Event(), asyncio.Event()

    def broken() -> Any:
        if failing:
            scene.house.db.fail_next_commit = OSError("disk full")
        return begin()

    async def sleep(seconds: float) -> None:
        if seconds >= 0.4:
            waiting.set()
            await go.wait()

    scene.house.live.sleep = sleep
    scene.house.db.begin = broken  # type: ignore[method-assign]
    since = scene.now
    assert await scene.act("chair", "side.start") == {"ok": True, "pending": True}
    await waiting.wait()
    scene.stage.run(0.6)
    assert "chair" not in scene.stage.senders("patient", since)
    assert "chair" not in scene.ear.senders(since)
    assert scene.pages["patient"].panel["side"]["members"] == [scene.house.seats["chair"].id]
    failing = False
    scene.house.db.fail_next_commit = None
    go.set()
    async with asyncio.timeout(2):
        while (
            "side.started" not in scene.house.db.codes()
            or scene.house.live.rooms[scene.house.consult.id].panel.stepping
        ):
            await asyncio.sleep(0)
    scene.stage.run(0.6)
    assert "chair" not in scene.stage.senders("patient", since)


async def test_the_doors_of_the_side_room(scene: Scene) -> None:
    assert (await scene.act("doctor", "side.start"))["code"] == "panel.side_room_closed"
    assert (await scene.act("expert", "side.enter"))["code"] == "panel.no_side_room"
    assert (await scene.act("expert", "side.end"))["code"] == "panel.no_side_room"
    for who in ("patient", "daughter", "interpreter", "student"):
        assert (await scene.act(who, "side.start"))["code"] == "access.denied", who
    assert (await scene.act("expert", "side.start"))["ok"]
    assert (await scene.act("chair", "side.start"))["code"] == "panel.side_room_on"
    assert "chair" in scene.flow("patient"), "who was refused is given back to everybody"
    assert (await scene.act("doctor", "side.enter"))["code"] == "panel.side_room_closed"
    assert (await scene.act("third", "side.enter"))["ok"]
    assert (await scene.act("third", "side.end"))["code"] == "panel.side_room_closed", "they only leave"
    assert (await scene.act("expert", "side.end"))["ok"]
    assert {"third", "expert"} <= scene.flow("patient")
    assert (await scene.act("chair", "side.start", inviting=True))["ok"]
    assert (await scene.act("doctor", "side.enter"))["ok"]
    assert not {"chair", "doctor"} & scene.flow("patient")
    assert (await scene.act("doctor", "end"))["ok"]
    assert scene.house.db.rows("side_rooms")[-1].ended_at is not None, "the end of the consult ends it"


async def test_the_side_room_outlives_the_server(scene: Scene) -> None:
    house = scene.house
    await scene.act("chair", "side.start")
    await scene.act("expert", "side.enter")
    await house.live.close()
    house.boot()
    await house.live.restore()
    for who in ("patient", "doctor", "chair", "expert"):
        scene.pages[who] = await house.come(who)
    chair, expert = (house.seats[who].id for who in MEMBERS)
    assert scene.pages["patient"].panel["side"]["members"] == sorted((chair, expert))
    assert house.room.packet(chair, Source.MICROPHONE) == {expert}
    assert house.room.packet(house.seats["patient"].id, Source.MICROPHONE) == {house.seats["doctor"].id}
    assert (await scene.pages["doctor"].act("recording.start"))["ok"]
    assert not {chair, expert} & house.recorder.writing[house.consult.id]
    assert (await scene.pages["chair"].act("side.end"))["ok"]
    assert house.seats["patient"].id in house.room.packet(chair, Source.MICROPHONE)
    assert {chair, expert} <= house.recorder.writing[house.consult.id]


async def test_devices_of_who_is_aside_stay_aside_and_wall_displays_show_nothing_of_it() -> None:
    house = await panel_ward()
    pages = await house.opened()
    chair = house.seats["chair"].id
    assert (await pages["chair"].act("side.start"))["ok"]
    cart = DevicePass("0a1b2c3d", chair, house.consult.id, "whip", "片库")
    await open_stream(house.live, cart, OFFER)
    house.room.publish(f"{chair}.0a1b2c3d", Source.CAMERA)
    for who in ("chair", "doctor"):
        with pytest.raises(StillPrivate):
            may_take(house.live, house.consult.id, house.seats[who].id, f"{chair}.0a1b2c3d")
    wall = DevicePass("0a1b2c3e", house.seats["doctor"].id, house.consult.id, "whep", "墙")
    await open_stream(house.live, wall, OFFER.replace("sendonly", "recvonly"))
    own_wall = DevicePass("0a1b2c3f", chair, house.consult.id, "whep", "墙")
    await open_stream(house.live, own_wall, OFFER.replace("sendonly", "recvonly"))
    for sender in (chair, f"{chair}.0a1b2c3d"):
        for viewer in house.room.people.values():
            if viewer.id != chair:
                assert {(sender, source) for source in Source} <= viewer.grants.hidden, viewer.id
    assert house.room.people[chair].grants == Grants(
        house.room.people[chair].grants.publish,
        subscribe=True,
        hidden=frozenset((each, Source.MICROPHONE) for each in {*house.live.rooms[house.consult.id].in_call} - {chair})
        | {(f"{house.seats['doctor'].id}.0a1b2c3e", Source.MICROPHONE)},
    )


async def test_the_voice_that_speaks_aside_is_told_there_only() -> None:
    house = await panel_ward()
    pages = await house.opened()
    chair, patient = house.seats["chair"].id, house.seats["patient"].id
    await pages["chair"].act("side.start")
    house.room.listener.on_speaker(house.room, chair)
    assert [each["seat"] for each in pages["chair"].told("speaker")] == [chair]
    assert pages["patient"].told("speaker") == []
    house.room.listener.on_speaker(house.room, patient)
    assert [each["seat"] for each in pages["patient"].told("speaker")] == [patient]
