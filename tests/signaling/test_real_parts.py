"""The same visit on the real database and the real media server: the ports fit, nothing nests transactions."""

from pathlib import Path

from clinic.consult import ConsultStatus
from consent.records import Purpose
from huizhen.store.database import SqlDatabase
from rtc.server import MediaConfig, MediaServer
from signaling.live import Live
from tests.signaling.ward import FakeSealer, Ward, furnish, issue_link
from tests.support import prepared
from tests.support.fake_recorder import FakeRecorder


async def test_a_visit_on_sqlite_and_real_rooms(tmp_path: Path) -> None:
    house = Ward()
    url = f"sqlite:///{tmp_path / 'huizhen.db'}"
    await prepared.database_at(url)
    database = await SqlDatabase.open(url, tmp_path / "keys", clock=house.clock, deployment="test", node="n1")
    media = await MediaServer.start(MediaConfig(host="127.0.0.1", host6=None, tcp=False))
    try:
        house.db = database  # type: ignore[assignment]
        await furnish(house)
        live = house.live = Live(database, media, FakeSealer(), issue_link, clock=house.clock)
        house.recorder = FakeRecorder(database, live.present, house.clock)
        house.recorder.on_changed = live.recording_changed
        live.recorder = house.recorder
        doctor, patient, daughter = await house.in_call("daughter")
        await house.sign("daughter", permitted=(Purpose.REC_AV,))
        room = media.room(house.consult.id)
        assert room is not None
        assert set(room.participants) == {doctor.seat.id, patient.seat.id, daughter.seat.id}
        ack = await patient.emit("media.offer", sdp="not an offer", sources={})
        assert ack == {"ok": False, "code": "media.malformed"}
        assert (await patient.emit("media.mute", source="mic", muted=True))["ok"]
        assert (await patient.emit("media.view", demands=[]))["ok"]
        assert (await doctor.act("recording.start"))["ok"]
        patient.lose()
        assert "replay" in await patient.join(resume=True)
        assert (await daughter.act("leave"))["ok"]
        assert (await patient.act("consent.withdraw", purposes=["rec_av"], reason=""))["ok"]
        assert (await doctor.act("chat", text="再见"))["ok"]
        assert (await doctor.act("end"))["ok"]
        assert patient.heard("ended")
        assert media.room(house.consult.id) is None
        async with database.read() as tx:
            assert (await tx.consults.get(house.consult.id)).status is ConsultStatus.CONCLUDING
        await live.close()
    finally:
        await media.close()
        await database.close()
