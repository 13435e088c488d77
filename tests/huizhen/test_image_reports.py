"""Saved measurements leave as DICOM SR: a real Orthanc takes it and gives it back; only the inviting side may."""

import io
from typing import Any
from uuid import uuid4

import aiohttp
import pydicom
import pytest

from clinic.people import Role
from huizhen.images.chamber import ImageChamber
from huizhen.images.pacs import Archives, basic
from huizhen.images.pacs_book import PacsAddress
from imaging import uids
from tests.huizhen.test_pacs import use
from tests.huizhen.world import World
from tests.images.table import Panel, opened, panel, sign, stow, value
from tests.inspection import corpus
from tests.support import dicom
from tests.support.liar import Liar
from tests.support.orthanc import PASSWORD, USER, Orthanc

SR = "1.2.840.10008.5.1.4.1.1.88.33"


def archives(world: World, address: str) -> Archives:
    return Archives({world.houses["county"].institution.id: PacsAddress(address, USER, PASSWORD)})


def mark(instance: str, shape: str, *points: tuple[float, float], by: str, label: str = "") -> dict[str, Any]:
    said = {"id": uuid4().hex, "by": by, "instance": instance, "frame": 0, "shape": shape, "label": label}
    return said | {"points": [list(point) for point in points]}


async def measured(world: World) -> tuple[Panel, str, list[bytes]]:
    """A CT of three slices with an ECG, and a photo in the case; the expert measured on all. The study's id."""
    stage = await panel(world)
    files = dicom.ct_series(3, 64, StudyInstanceUID="1.2.3.1", SeriesInstanceUID="1.2.3.1.1", PixelSpacing=[0.5, 0.25])
    assert (await stow(stage.clinic, stage.base, *files)).status == 200
    assert (await stow(stage.clinic, stage.base, corpus.jpeg(), media_type="image/jpeg")).status == 200
    assert (await stow(stage.clinic, stage.base, dicom.ecg(StudyInstanceUID="1.2.3.1"))).status == 200
    await sign(stage.patient)
    _, metadata = await opened(stage.expert, stage.base)
    picture = uids.row_of(value(metadata[1], "00080018"))
    async with world.db.read() as tx:
        rows = await tx.image_instances.find(consult_id=stage.consult)
        seats = await tx.seats.find(consult_id=stage.consult)
        photo = next(row.id for row in rows if row.kind == "photo")
        trace = next(row.id for row in rows if row.kind == "waveform")
        study = next(row.study_id for row in rows if row.id == picture)
    by = next(seat.id for seat in seats if seat.role in (Role.CHAIR, Role.EXPERT))
    marks = [
        mark(picture, "length", (0, 0), (12, 8), by=by, label="结节长径"),
        mark(picture, "ellipse", (0, 0), (40, 20), by=by),
        mark(picture, "arrow", (5, 6), (1, 1), by=by, label="这里"),
        mark(photo, "length", (0, 0), (10, 10), by=by),
        mark(trace, "length", (0, 0), (10, 10), by=by, label="PR"),
    ]
    saved = await stage.expert.post(f"/api/consults/{stage.consult}/images/findings", version=1, measurements=marks)
    assert saved.status == 200, saved.body
    return stage, study, files


def names(found: Any) -> list[str]:
    here = [str(each.ConceptNameCodeSequence[0].CodeMeaning) for each in found.ContentSequence
            if "ConceptNameCodeSequence" in each]  # fmt: skip
    return here + [name for each in found.ContentSequence if "ContentSequence" in each for name in names(each)]


async def test_orthanc_takes_the_report_and_gives_it_back(world: World, pacs: Orthanc) -> None:
    stage, study, files = await measured(world)
    await pacs.add(*files)
    path = f"/api/consults/{stage.consult}/images/{study}/report/pacs"
    assert (await stage.clinic.post(path)).code == "images.no_pacs"
    use(world, archives(world, pacs.dicomweb))
    sent = await stage.clinic.post(path)
    assert sent.status == 200, sent.body
    assert (sent.body["measurements"], sent.body["left"]) == (3, 1)
    again = await stage.clinic.post(path)
    assert (again.status, again.body) == (200, sent.body), "the same saving is the same object"
    async with aiohttp.ClientSession(headers={"Authorization": basic(USER, PASSWORD)}) as session:
        query = {"SOPClassUID": SR, "includefield": "0020000D"}
        headers = {"Accept": "application/dicom+json"}
        async with session.get(f"{pacs.dicomweb}/instances", params=query, headers=headers) as reply:
            (there,) = await reply.json()
        assert value(there, "0020000D") == "1.2.3.1", "under the study it was measured on"
        url = f"{pacs.dicomweb}/studies/1.2.3.1/series/{value(there, '0020000E')}/instances/{sent.body['uid']}"
        async with session.get(url, headers={"Accept": 'multipart/related; type="application/dicom"'}) as reply:
            part = await aiohttp.MultipartReader.from_response(reply).next()
            assert isinstance(part, aiohttp.BodyPartReader)
            found = pydicom.dcmread(io.BytesIO(await part.read()))
    assert (found.SOPClassUID, found.PatientID, str(found.PatientName)) == (SR, "H1", "OUYANG^HE=患者欧阳鹤")
    assert {"Length", "Area", "Image Region", "Person Observer Name", "Comment"} <= set(names(found))
    measured_values = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for group in found.ContentSequence[-1].ContentSequence
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    ]
    assert measured_values == pytest.approx([5.0, 3.141592653589793 * 40 * 0.25 * 20 * 0.5 / 4])
    codes = [event.code for event in await stage.events()]
    assert codes.count("images.reported") == 2
    assert codes.count("images.refused") == 1


async def test_as_a_file_for_the_inviting_side_only(world: World) -> None:
    stage, study, _ = await measured(world)
    path = f"/api/consults/{stage.consult}/images/{study}/report"
    assert (await stage.expert.get(path)).code == "access.denied"
    assert (await stage.expert.post(f"{path}/pacs")).code == "access.denied"
    stranger = await world.staff("city", Role.ATTENDING)
    assert (await stranger.get(path)).status == 404
    taken = await stage.clinic.get(path)
    assert (taken.status, taken.headers["X-Measurements"], taken.headers["X-Measurements-Left"]) == (200, "3", "1")
    found = pydicom.dcmread(io.BytesIO(taken.raw))
    assert found.SOPClassUID == SR
    (event,) = [event for event in await stage.events() if event.code == "images.reported"]
    assert (event.public["to"], event.public["measurements"], event.public["report"]) == (
        "file", 3, found.SOPInstanceUID,
    )  # fmt: skip


async def test_what_cannot_be_reported_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, study, _ = await measured(world)
    base = f"/api/consults/{stage.consult}/images"
    async with world.db.read() as tx:
        (photos,) = [row.id for row in await tx.image_studies.find(consult_id=stage.consult) if row.id != study]
    only_json = await stage.clinic.get(f"{base}/{photos}/report")
    assert (only_json.status, only_json.code) == (409, "images.nothing_to_report")
    assert (await stage.clinic.get(f"{base}/{uuid4().hex}/report")).status == 404

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(ImageChamber, "report", nothing)
    failed = await stage.clinic.get(f"{base}/{study}/report")
    assert (failed.status, failed.code) == (502, "images.report_failed")
    other = await panel(world)
    assert (await stow(other.clinic, other.base, dicom.ct(0, 16, StudyInstanceUID="1.2.3.9"))).status == 200
    async with world.db.read() as tx:
        (unmeasured,) = await tx.image_studies.find(consult_id=other.consult)
    refused = await other.clinic.get(f"/api/consults/{other.consult}/images/{unmeasured.id}/report")
    assert refused.code == "images.nothing_to_report"
    foreign = await other.clinic.get(f"/api/consults/{other.consult}/images/{study}/report")
    assert foreign.status == 404, "a study of another consult"
    codes = [event.code for event in await stage.events()]
    assert codes.count("images.reported") == 0


async def test_names_that_differ_are_confirmed_first(world: World) -> None:
    stage = await panel(world)
    strange = dicom.ct(0, 16, PatientName="LI^SI=李^四", PatientBirthDate="19880808")
    assert (await stow(stage.clinic, stage.base, strange)).status == 200
    async with world.db.read() as tx:
        (study,) = await tx.image_studies.find(consult_id=stage.consult)
    refused = await stage.clinic.get(f"/api/consults/{stage.consult}/images/{study.id}/report")
    assert refused.code == "images.identity_unconfirmed"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, b'{"00081198": {"vr": "SQ", "Value": [{}]}}'),
        (200, b'{"00081199": {"vr": "SQ", "Value": [{}]}, "00081198": {"vr": "SQ", "Value": [{}]}}'),
        (200, b"{}"),
        (200, b"<html>"),
        (302, b""),
    ],
)
async def test_an_archive_that_does_not_take_it_is_told(world: World, status: int, body: bytes) -> None:
    stage, study, _ = await measured(world)
    liar = Liar()
    await liar.server.start_server()
    use(world, archives(world, str(liar.server.make_url("/dw"))))
    liar.says(body, status=status)
    sent = await stage.clinic.post(f"/api/consults/{stage.consult}/images/{study}/report/pacs")
    assert (sent.status, sent.code) == (502, "images.pacs_unavailable")
    await liar.server.close()
    (event,) = [event for event in await stage.events() if event.code == "images.refused"]
    assert event.outcome == "images.pacs_unavailable"
