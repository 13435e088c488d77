"""The image table through the real server: what is brought in, who may look, and when that ends."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import imagecodecs
import numpy as np
import pytest

from clinic.people import Role
from huizhen.images import container
from huizhen.store.errors import StoreFull
from tests.huizhen.world import Reply, World, operation
from tests.images.table import first, opened, panel, parts, sign, stow, value
from tests.inspection import corpus
from tests.support import dicom


def objects(world: World) -> list[Path]:
    settings = world.parts.settings
    folders = (settings.uploads_path, settings.blobs_path)
    return sorted(path for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file())


async def rows(world: World, table: str) -> list[Any]:
    async with world.db.read() as tx:
        return list(await getattr(tx, table).find())


async def test_a_ct_is_brought_in_and_an_expert_looks_at_it(world: World) -> None:
    stage = await panel(world)
    files = dicom.ct_series(3)
    taken = await stow(stage.clinic, stage.base, *files)
    assert taken.status == 200, taken.raw
    assert len(taken.body["00081199"]["Value"]) == 3
    assert all(b"OUYANG" not in path.read_bytes() and b"DICM" not in path.read_bytes() for path in objects(world))

    listed = (await stage.clinic.get(f"/api/consults/{stage.consult}/images")).body
    (study,) = listed["studies"]
    assert (study["identity"], study["description"], study["day"]) == ("matches", "胸部CT平扫", "20260301")
    (series,) = study["series"]
    assert (series["modality"], series["instances"], series["kinds"]) == ("CT", 3, ["image"])

    for door in (f"/api/consults/{stage.consult}/images", stage.base):
        assert (await stage.expert.get(door)).code == "consent.missing", "the patient has not said yes"
    await sign(stage.patient)
    path, metadata = await opened(stage.expert, stage.base)
    assert [value(item, "00200013") for item in metadata] == [1, 2, 3]
    assert {value(item, "00100010")["Alphabetic"] for item in metadata} == {"Anonymous"}
    assert value(metadata[0], "0020000D") == path.split("/")[-3]
    instance = value(metadata[1], "00080018")
    answer = await stage.expert.get(f"{path}/instances/{instance}/frames/1")
    assert answer.headers["Content-Type"].startswith('multipart/related; type="image/jls"')
    (frame,) = parts(answer)
    shown = imagecodecs.jpegls_decode(frame).astype(int) + int(value(metadata[1], "00281052"))
    assert np.array_equal(shown, dicom.ct_slice(1))
    small = parts(await stage.expert.get(f"{path}/previews?limit=2"))
    assert [imagecodecs.jpegls_decode(each).shape for each in small] == [(128, 128)] * 2

    events = [event for event in await stage.events() if event.code in ("images.stored", "view.images")]
    assert [event.code for event in events] == ["images.stored", "view.images"]
    assert events[0].public["instances"] == 3
    (stored,) = [row for row in await rows(world, "image_instances") if row.number == 2]
    assert stored.received_sha256 == hashlib.sha256(files[1]).hexdigest()


async def test_frames_are_told_only_to_who_opened_the_series_on_record(world: World) -> None:
    stage = await panel(world)
    await sign(stage.patient)
    await stow(stage.clinic, stage.base, dicom.ct(0, 32))
    path, metadata = await opened(stage.clinic, stage.base)
    frame = f"{path}/instances/{value(metadata[0], '00080018')}/frames/1"
    assert (await stage.expert.get(frame)).code == "images.not_opened"
    assert (await stage.expert.get(f"{path}/previews")).code == "images.not_opened"
    assert (await stage.expert.get(f"{path}/metadata")).status == 200
    assert (await stage.expert.get(frame)).status == 200
    for wrong in ("0", "2", "1,2", "x", "1,,1", "a" * 60):
        assert (await stage.expert.get(frame[:-1] + wrong)).code == "not_found", wrong
    assert (
        await stage.expert.get(f"{path}/instances/{value(metadata[0], '00080018')}/rendered")
    ).code == "images.wrong_form"
    world.clock.advance(hours=9)
    assert (await stage.expert.get(frame)).status in (401, 409), "after hours it is opened again, on record"


async def test_who_withdraws_ends_the_looking_with_the_next_request(world: World) -> None:
    stage = await panel(world)
    await sign(stage.patient)
    await stow(stage.clinic, stage.base, dicom.ct(0, 32))
    path, metadata = await opened(stage.expert, stage.base)
    frame = f"{path}/instances/{value(metadata[0], '00080018')}/frames/1"
    assert (await stage.expert.get(frame)).status == 200
    assert (await stage.patient.post("/api/seat/consent/withdraw", purposes=["share_panel"])).status == 200
    for door in (frame, f"{path}/previews", f"{path}/metadata", stage.base, f"/api/consults/{stage.consult}/images"):
        refused = await stage.expert.get(door)
        assert (refused.status, refused.code) in ((403, "consent.missing"), (403, "access.denied"), (404, "not_found"))
    assert (await stage.clinic.get(f"{path}/metadata")).status == 200, "the clinic's own pictures stay the clinic's"


async def test_pictures_of_another_name_do_not_leave_before_the_clinic_says_whose_they_are(world: World) -> None:
    stage = await panel(world)
    await sign(stage.patient)
    taken = await stow(
        stage.clinic, stage.base, dicom.ct(0, 32, PatientName="LI^SI=李^四", PatientBirthDate="19880808")
    )
    assert taken.status == 200
    (study,) = (await stage.clinic.get(f"/api/consults/{stage.consult}/images")).body["studies"]
    assert (study["identity"], study["differs"]) == ("differs", ["name", "birth_date"])
    assert (await stage.expert.get(f"/api/consults/{stage.consult}/images")).body["studies"] == []
    path, _ = await opened(stage.clinic, stage.base)
    assert (await stage.expert.get(f"{path}/metadata")).code == "images.identity_unconfirmed"
    confirm = f"/api/consults/{stage.consult}/images/{study['id']}/identity"
    assert (await stage.expert.post(confirm)).code == "access.denied"
    assert (await stage.clinic.post(confirm)).body["identity"] == "confirmed"
    assert (await stage.clinic.post(confirm)).code == "images.identity_not_asked"
    assert (await stage.expert.get(f"{path}/metadata")).status == 200
    assert [e.public for e in await stage.events() if e.code == "images.identity_confirmed"] == [
        {"differs": ["name", "birth_date"]}
    ]


async def test_bad_files_leave_nothing_and_the_good_ones_beside_them_stay(world: World) -> None:
    stage = await panel(world)
    program = dicom.with_preamble(dicom.ct(0, 32), b"MZ\x90")
    mixed = await stow(stage.clinic, stage.base, program, dicom.ct(1, 32), b"<svg><script>1</script></svg>")
    assert mixed.status == 202
    failed = mixed.body["00081198"]["Value"]
    assert [(value(item, "00201200"), value(item, "00000902")) for item in failed] == [
        (0, "upload.hidden_content"),
        (2, "upload.unknown_type"),
    ]
    assert len(objects(world)) == len(await rows(world, "image_instances")) == 1
    nothing = await stow(stage.clinic, stage.base, program)
    assert nothing.status == 409
    refused = [event for event in await stage.events() if event.code == "images.refused"]
    assert [event.outcome for event in refused] == ["upload.hidden_content"] * 2
    assert len(objects(world)) == 1
    assert (await stow(stage.clinic, stage.base, b"")).code == "upload.empty"
    broken = {"X-Operation": operation(), "Content-Type": "multipart/related; boundary=b"}
    assert (await stage.clinic.call("POST", stage.base, data=b"no boundary", headers=broken)).status in (400, 422)


async def test_the_same_file_twice_is_one_and_another_under_its_name_is_refused(world: World) -> None:
    stage = await panel(world)
    one = dicom.ct(0, 32, SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2", StudyInstanceUID="1.1")
    other = dicom.ct(5, 32, SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2", StudyInstanceUID="1.1")
    op = operation()
    assert (await stow(stage.clinic, stage.base, one, op=op)).status == 200
    assert (await stow(stage.clinic, stage.base, one, op=op)).code == "operation.repeated"
    again = await stow(stage.clinic, stage.base, one)
    assert (again.status, len(again.body["00081199"]["Value"])) == (200, 1), "an upload resumed from its beginning"
    assert (await stow(stage.clinic, stage.base, other)).code == "images.conflict"
    assert len(objects(world)) == len(await rows(world, "image_instances")) == 1


async def test_photos_papers_and_traces_are_saved_not_shown(world: World) -> None:
    stage = await panel(world)
    for data, media_type in ((corpus.jpeg_with_place(), "image/jpeg"), (corpus.pdf(), "application/pdf")):
        assert (await stow(stage.clinic, stage.base, data, media_type=media_type)).status == 200
    assert (await stow(stage.clinic, stage.base, dicom.ecg())).status == 200
    assert (await stow(stage.clinic, stage.base, dicom.aecg(), media_type="application/xml")).status == 200
    found: dict[str, list[Reply]] = {}
    for study in (await stage.clinic.get(f"/api/consults/{stage.consult}/images")).body["studies"]:
        for series in study["series"]:
            base = series["url"].removesuffix("/metadata")
            (item,) = (await stage.clinic.get(series["url"])).body
            reply = await stage.clinic.get(f"{base}/instances/{value(item, '00080018')}/rendered")
            assert reply.status == 200, series
            assert reply.headers["Content-Disposition"].startswith("attachment; ")
            assert reply.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
            found.setdefault(series["kinds"][0], []).append(reply)
    assert {kind: len(replies) for kind, replies in found.items()} == {"photo": 1, "paper": 1, "waveform": 2}
    assert b"SECRETPHONE" not in found["photo"][0].raw
    assert found["paper"][0].raw.startswith(b"%PDF-")
    assert {reply.body["leads"] for reply in found["waveform"]} == {12, 2}


async def test_strangers_and_the_wrong_hands(world: World) -> None:
    stage = await panel(world)
    await sign(stage.patient)
    await stow(stage.clinic, stage.base, dicom.ct(0, 32))
    path, _ = await opened(stage.clinic, stage.base)
    stranger = await world.staff("city", Role.ATTENDING)
    assert (await stranger.get(f"{path}/metadata")).code == "not_found"
    assert (await stow(stranger, stage.base, dicom.ct(1, 32))).code == "not_found"
    assert (await stow(stage.expert, stage.base, dicom.ct(1, 32))).code == "access.denied", "the inviting side brings"
    nurse = await world.staff("county", Role.NURSE)
    assert (await nurse.get(f"{path}/metadata")).code == "access.denied", "no seat"
    assert (await stage.patient.get(f"{path}/metadata")).code == "session.required"
    other = await panel(world)
    foreign = path.replace(stage.consult, other.consult)
    assert (await other.clinic.get(f"{foreign}/metadata")).code == "not_found", "the consult is the allow-list"
    for bad in ("1.2.3", "2.25.99", "2.25." + "9" * 39, uuid4().hex):
        assert (await stage.clinic.get(f"{stage.base}/{bad}/series")).code == "not_found", bad


async def test_an_object_of_another_row_or_with_another_bit_is_not_told(world: World) -> None:
    stage = await panel(world)
    await stow(stage.clinic, stage.base, *dicom.ct_series(2, 64))
    path, metadata = await opened(stage.clinic, stage.base)
    one, other = await rows(world, "image_instances")
    blobs = world.parts.settings.blobs_path
    data = (blobs / one.blob_key).read_bytes()
    shelf = world.parts.services.images
    shelf._layouts.clear()
    (blobs / one.blob_key).write_bytes((blobs / other.blob_key).read_bytes())
    frame = next(value(item, "00080018") for item in metadata if value(item, "00200013") == one.number)
    assert (await stage.clinic.get(f"{path}/instances/{frame}/frames/1")).code == "recording.segment_damaged"
    (blobs / one.blob_key).write_bytes(data[:400] + bytes([data[400] ^ 1]) + data[401:])
    assert (await stage.clinic.get(f"{path}/instances/{frame}/frames/1")).code == "recording.segment_damaged"
    (blobs / one.blob_key).write_bytes(data)
    assert (await stage.clinic.get(f"{path}/instances/{frame}/frames/1")).status == 200
    async with world.db.read() as tx:
        study = await tx.image_studies.get(one.study_id)
    await world.db.keys.destroy(study.institution_id, study.key_id)
    gone = await stage.clinic.get(f"{path}/instances/{frame}/frames/1")
    assert (gone.status, gone.code) == (410, "recording.destroyed"), "whatever is remembered of its layout"


async def test_the_kept_file_is_the_one_that_came_but_for_its_preamble(world: World) -> None:
    stage = await panel(world)
    sent = dicom.with_preamble(dicom.ct(0, 64), b"II*\0harmless")
    await stow(stage.clinic, stage.base, sent)
    (row,) = await rows(world, "image_instances")
    (study,) = await rows(world, "image_studies")
    key = await world.db.keys.get(study.institution_id, study.key_id)
    blobs = world.parts.services.blobs
    layout, _ = await container.begin(blobs, row.blob_key, key, (row.id, row.consult_id))
    kept = await container.read(blobs, row.blob_key, key, layout.head, layout.file)
    assert kept == bytes(128) + sent[128:]
    assert (hashlib.sha256(kept).hexdigest(), len(kept)) == (row.sha256, row.size)


async def test_a_commit_that_fails_takes_the_objects_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await panel(world)

    async def full(*_: Any) -> Any:
        raise StoreFull

    monkeypatch.setattr("imaging.keeping.keep", full)
    assert (await stow(stage.clinic, stage.base, dicom.ct(0, 32))).code == "store.full"
    assert objects(world) == []


async def test_what_a_crash_left_is_swept(world: World) -> None:
    stage = await panel(world)
    await stow(stage.clinic, stage.base, dicom.ct(0, 32))
    (kept,) = objects(world)
    house = world.houses["county"].institution.id
    orphan = world.parts.settings.blobs_path / house / "images" / ("f" * 32) / "x.hzs"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"x")
    assert await world.parts.services.images.sweep(world.db, [house]) == 1
    assert objects(world) == [kept]


async def test_measurements_are_kept_each_saving_a_row_of_its_own(world: World) -> None:
    stage = await panel(world)
    await sign(stage.patient)
    await stow(stage.clinic, stage.base, dicom.ct(0, 64))
    (row,) = await rows(world, "image_instances")
    base = f"/api/consults/{stage.consult}/images/findings"
    nothing = await stage.expert.get(base)
    assert (nothing.status, nothing.body["id"], nothing.body["measurements"]) == (200, None, [])
    length = {
        "id": uuid4().hex,
        "by": uuid4().hex,
        "instance": row.id,
        "frame": 0,
        "shape": "length",
        "points": [[1, 2.5], [30, 40]],
        "label": "结节",
    }
    saved = await stage.expert.post(base, version=4, measurements=[length])
    assert saved.status == 200, saved.body
    assert (await stage.clinic.get(base)).body["measurements"] == [length | {"points": [[1, 2.5], [30, 40]]}]
    for wrong in ({"frame": 1}, {"points": [[1, 2], [65, 3]]}, {"instance": uuid4().hex}, {"shape": "heart"}):
        refused = await stage.expert.post(base, version=5, measurements=[length | wrong])
        assert (refused.status, refused.code) == (422, "images.bad_measurement"), wrong
    assert (await stage.expert.post(base, version=5, measurements=[length, length])).code == "images.bad_measurement"
    assert len(await rows(world, "image_findings")) == 1
    (event,) = [event for event in await stage.events() if event.code == "images.measured"]
    assert event.public["measurements"] == 1


async def test_no_more_than_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaging.keeping.MOST_INSTANCES", 1)
    stage = await panel(world)
    series = dicom.ct_series(2, 32)
    assert (await stow(stage.clinic, stage.base, series[0])).status == 200
    assert (await stow(stage.clinic, stage.base, series[1])).code == "images.too_many"
    assert len(objects(world)) == 1


async def test_qido_lists_what_there_is(world: World) -> None:
    stage = await panel(world)
    await stow(stage.clinic, stage.base, *dicom.ct_series(3, 32))
    study = await first(stage.clinic, stage.base)
    assert (value(study, "00201208"), value(study, "00080061"), value(study, "00100020")) == (3, "CT", stage.consult)
    series = await first(stage.clinic, f"{stage.base}/{value(study, '0020000D')}/series")
    path = f"{stage.base}/{value(study, '0020000D')}/series/{value(series, '0020000E')}"
    every = (await stage.clinic.get(f"{path}/instances")).body
    assert [value(item, "00200013") for item in every] == [1, 2, 3]
    assert (await stage.clinic.get(f"{path}/instances?offset=1&limit=1")).body == every[1:2]
    assert (await stage.clinic.get(f"{path}/instances?offset=-1")).code == "request.query"
