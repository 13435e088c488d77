"""Removed, disabled, revoked, withdrawn: at once, for good, and on record."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio

from clinic.consult import SeatState
from clinic.errors import SeatClosed
from clinic.people import Role
from consent.records import Purpose
from huizhen import cli_data, tls
from huizhen.api import playing
from signaling import upkeep
from signaling.devices import DevicePass, open_stream
from tests.huizhen.shelf import played
from tests.huizhen.test_archive_by_rest import _granted
from tests.huizhen.test_whip import OFFER
from tests.huizhen.world import World, operation
from tests.signaling.ward import Ward
from tests.support.clock import START

pytestmark = pytest.mark.alone


def _wall(house: Ward, kind: str = "whep") -> DevicePass:
    return DevicePass("0a1b2c3d", house.seats["doctor"].id, house.consult.id, kind, "墙")


async def test_a_removed_device_stays_out_though_its_token_lives(house: Ward) -> None:
    doctor, _ = await house.in_call()
    await open_stream(house.live, _wall(house), OFFER.replace("sendonly", "recvonly"))
    (device,) = house.inside - {seat.id for seat in house.seats.values()}
    assert (await doctor.act("remove", seat=device))["ok"]
    with pytest.raises(SeatClosed):
        await open_stream(house.live, _wall(house), OFFER.replace("sendonly", "recvonly"))
    assert device not in house.inside


async def test_nobody_watches_by_whep_without_a_trace(house: Ward) -> None:
    await house.in_call()
    before = len(house.db.codes())
    await open_stream(house.live, _wall(house), OFFER.replace("sendonly", "recvonly"))
    assert house.db.codes()[before:] == ["room.join"]
    (device,) = house.inside - {seat.id for seat in house.seats.values()}
    house.room.leave(device, "gone")
    doctor = house.seats["doctor"]
    from signaling import devices

    devices.forget(house.live, house.live.rooms[house.consult.id], f"{doctor.id}.0a1b2c3d", "closed")
    await house.live.chores.drain()
    assert "media.unpublish" in house.db.codes()[before:]


async def test_a_stream_that_cannot_be_put_on_record_is_not_opened(house: Ward) -> None:
    await house.in_call()
    house.db.fail_next_commit = OSError("disk full")
    with pytest.raises(OSError, match="disk full"):
        await open_stream(house.live, _wall(house), OFFER.replace("sendonly", "recvonly"))
    assert house.inside == {house.seats["doctor"].id, house.seats["patient"].id}


async def test_a_disabled_account_is_out_of_its_call(world: World) -> None:
    booked = await world.book()
    doctor, admin = await world.staff("city", Role.ATTENDING), await world.staff("city", Role.ADMIN)
    ticket = (await doctor.post(f"/api/consults/{booked.consult.id}/ticket")).body["ticket"]
    client = socketio.AsyncClient(reconnection=False)
    gone = asyncio.Event()
    client.on("disconnect", lambda *_: gone.set())
    await client.connect(world.base, auth={"ticket": ticket}, transports=["websocket"])
    assert (await client.call("join", {"v": 1, "op": operation()}, timeout=5))["ok"]
    person = world.houses["city"].staff[Role.ATTENDING]
    assert (await admin.put(f"/api/admin/staff/{person.id}", state="disabled")).status == 200
    await asyncio.wait_for(gone.wait(), 5)
    assert booked.doctor.id not in world.parts.live.present(booked.consult.id)
    async with world.db.read() as tx:
        assert (await tx.seats.get(booked.doctor.id)).state is SeatState.LEFT
    await client.disconnect()


async def test_ended_logins_end_their_sockets_and_the_seat_has_its_grace(house: Ward) -> None:
    doctor, _ = await house.in_call()
    staff_id = house.seats["doctor"].person_id
    assert staff_id is not None
    await upkeep.signed_out(house.live, staff_id, disabled=False)
    room = house.live.rooms[house.consult.id]
    assert room.line_of(doctor.seat.id) is None
    assert doctor.seat.id in house.inside, "sixty seconds to come back with a new login"


async def test_nothing_is_recorded_on_a_consent_whose_withdrawal_waits_for_the_disk(house: Ward) -> None:
    """The ledger still says yes while the commit is retried: the doctor presses record again."""
    doctor, patient = await house.in_call()
    assert (await doctor.act("recording.start"))["ok"]
    waiting, go = asyncio.Event(), asyncio.Event()
    begin, failing = house.db.begin, True

    def broken() -> Any:
        if failing:
            house.db.fail_next_commit = OSError("disk full")
        return begin()

    async def sleep(seconds: float) -> None:
        if seconds >= 0.4:  # the retry in the background
            waiting.set()
            await go.wait()

    house.live.sleep = sleep
    house.db.begin = broken  # type: ignore[method-assign]
    assert await patient.act("consent.withdraw", purposes=["rec_av"]) == {"ok": True, "pending": True}
    await waiting.wait()
    failing = False
    again = await doctor.act("recording.start")
    assert (again["ok"], again.get("reasons")) == (False, ["rec.patient_withdrew"])
    assert house.recorder.writing[house.consult.id] == frozenset()
    go.set()
    async with asyncio.timeout(2):
        while "consent.withdrawn" not in house.db.codes() or house.live.withdrawing:
            await asyncio.sleep(0)
    assert doctor.heard("consent")[-1]["standing"]["rec_av"] == "withdrawn", "told when it is in the ledger"


async def test_a_refused_withdrawal_leaves_no_bar_behind(house: Ward) -> None:
    _, patient = await house.in_call()
    assert (await patient.act("consent.withdraw", purposes=["share_panel"]))["ok"] is False
    assert house.live.withdrawing == {}
    await house.sign("patient", permitted=(Purpose.TREAT, Purpose.REC_AV))


async def test_a_file_under_way_ends_with_the_grant(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "_CHUNK", 512)
    recording = await played(world)
    archivist = await _granted(world, recording.id)
    opened = (await archivist.post(f"/api/archive/recordings/{recording.id}/view")).body
    url = opened["tracks"][0]["segments"][0]["url"]
    whole = (await archivist.get(url)).raw
    read = world.parts.services.playback.read_plain
    chunks = 0

    async def slowly(*words: Any) -> bytes:
        nonlocal chunks
        chunks += 1
        if chunks == 3:
            world.clock.advance(3_700)  # the grant was for an hour; the login is kept alive elsewhere
        return await read(*words)

    monkeypatch.setattr(world.parts.services.playback, "read_plain", slowly)
    with pytest.raises(aiohttp.ClientPayloadError):
        await archivist.get(url)
    assert 3 <= chunks <= 4
    assert len(whole) > 8 * 512, "there was much more to come"


async def test_a_fault_half_way_puts_no_second_answer_into_the_media(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recording.errors import SegmentDamaged

    monkeypatch.setattr(playing, "_CHUNK", 512)
    recording = await played(world)
    archivist = await _granted(world, recording.id)
    opened = (await archivist.post(f"/api/archive/recordings/{recording.id}/view")).body
    read, calls = world.parts.services.playback.read_plain, 0

    async def torn(*words: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise SegmentDamaged("torn")
        return await read(*words)

    monkeypatch.setattr(world.parts.services.playback, "read_plain", torn)
    with pytest.raises(aiohttp.ClientPayloadError):
        await archivist.get(opened["tracks"][0]["segments"][0]["url"])
    assert (await archivist.get("/healthz")).status == 200


def test_copies_of_the_database_are_for_the_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and notes are in it while the backup is being made."""
    import sqlite3

    from huizhen.settings import Settings

    data = tmp_path / "data"
    data.mkdir()
    sqlite3.connect(data / "huizhen.db").close()
    modes: list[int] = []

    def look(_settings: Settings, copy: Path, target: Path) -> None:
        modes.append(stat.S_IMODE(copy.stat().st_mode))
        target.touch(mode=0o600)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli_data, "_pack", look)
    cli_data.backup(tmp_path / "out" / "all.tar", data)
    assert modes == [0o600]


def test_a_private_key_left_readable_is_not_left_so(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    (folder / "lan.key").write_text("old")
    (folder / "lan.key").chmod(0o644)
    _, key = tls.ensure_certificate(folder, "127.0.0.1", START)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
