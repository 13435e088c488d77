"""The hospital's own archive through the real server and a real Orthanc: this patient's studies only, into the case."""

import os

from clinic.people import Role
from huizhen.images.pacs import Archives
from huizhen.images.pacs_book import PacsAddress
from tests.huizhen.world import World
from tests.images.table import Panel, opened, panel, sign
from tests.inspection import corpus
from tests.support import dicom
from tests.support.liar import Liar
from tests.support.orthanc import PASSWORD, USER, Orthanc


def use(world: World, archives: Archives) -> None:
    """Routes hold the services they were registered with."""
    object.__setattr__(world.parts.services, "archives", archives)


def base(stage: Panel) -> str:
    return f"/api/consults/{stage.consult}/images/pacs"


async def test_this_patients_study_comes_into_the_case_and_no_other(world: World, pacs: Orthanc) -> None:
    mine = dicom.ct_series(66, 16, StudyInstanceUID="1.2.3.1", SeriesInstanceUID="1.2.3.1.1")
    stranger = dicom.ct(
        0, 16, StudyInstanceUID="1.2.3.2", PatientName="LI^SI=李^四", PatientBirthDate="19880808", AccessionNumber="A18"
    )
    same_name = dicom.ct(0, 16, StudyInstanceUID="1.2.3.3", PatientBirthDate=None, AccessionNumber="A19")
    await pacs.add(*mine, stranger, same_name)
    use(world, Archives({world.houses["county"].institution.id: PacsAddress(pacs.dicomweb, USER, PASSWORD)}))
    stage = await panel(world)

    found = await stage.clinic.post(f"{base(stage)}/search", patient_number="H1")
    assert found.status == 200, found.body
    (study,) = found.body["items"]
    assert (study["uid"], study["instances"], study["modalities"], study["allowed"]) == ("1.2.3.1", 66, ["CT"], None)
    assert (study["description"], study["day"], found.body["others"]) == ("胸部CT平扫", "20260301", 2)
    for criteria in ({"accession": "A18"}, {"accession": "A19"}, {"since": "2026-03-02"}):
        again = (await stage.clinic.post(f"{base(stage)}/search", patient_number="H1", **criteria)).body
        assert again["items"] == [], criteria

    for other in ("1.2.3.2", "1.2.3.3", "1.2.3.4"):
        assert (await stage.clinic.post(base(stage), uid=other)).code == "images.stranger", other
    allowed = await stage.clinic.post(base(stage), uid="1.2.3.1")
    assert allowed.status == 200, allowed.body
    assert (await stage.clinic.post(base(stage), uid="1.2.3.1")).body == allowed.body
    fetch = f"{base(stage)}/{allowed.body['id']}/fetch"
    first = (await stage.clinic.post(fetch)).body
    assert (first["added"], first["known"], first["refused"], first["next"], first["total"]) == (64, 0, [], 64, 66)
    last = (await stage.clinic.post(fetch, offset=64)).body
    assert (last["added"], last["next"]) == (2, -1)
    whole = (await stage.clinic.post(fetch)).body
    assert (whole["added"], whole["known"], whole["next"]) == (0, 66, -1), "nothing is fetched twice"
    (row,) = (await stage.clinic.get(base(stage))).body["items"]
    assert (row["here"], row["instances"]) == (66, 66)

    await sign(stage.patient)
    _, metadata = await opened(stage.expert, f"/api/consults/{stage.consult}/dicomweb/studies")
    assert len(metadata) == 66, "the expert looks at the case"
    codes = [event.code for event in await stage.events() if event.code.startswith("images.")]
    assert codes.count("images.pacs_searched") == 4
    assert codes.count("images.refused") == 3
    assert codes.count("images.pacs_allowed") == 1
    assert codes.count("images.stored") == 2
    assert codes.count("images.pacs_fetched") == 3


async def test_nobody_else_reaches_the_archive(world: World) -> None:
    stage = await panel(world)
    await sign(stage.patient)
    city = await world.staff("city", Role.ATTENDING)
    asked = (("POST", "/search", {"patient_number": "H1"}), ("POST", "", {"uid": "1.2"}), ("GET", "", None))
    for method, path, body in asked:
        full = None if body is None else {"op": os.urandom(16).hex()} | body
        assert (await stage.expert.call(method, base(stage) + path, full)).code == "access.denied"
        assert (await city.call(method, base(stage) + path, full)).code == "not_found"
    assert (await stage.clinic.post(f"{base(stage)}/search", patient_number="H1")).code == "images.no_pacs"
    for number in ("*", "H?", "H1\\*", "", "a" * 65, "H1&limit=9"):
        assert (await stage.clinic.post(f"{base(stage)}/search", patient_number=number)).code == "input.invalid", number
    for uid in ("../studies", "1.2/3", "", "1" * 65):
        assert (await stage.clinic.post(base(stage), uid=uid)).code == "input.invalid", uid


async def test_an_archive_that_sends_harm_or_others_files_leaves_nothing(world: World) -> None:
    liar = Liar()
    await liar.server.start_server()
    address = PacsAddress(str(liar.server.make_url("/dw")))
    use(world, Archives({world.houses["county"].institution.id: address}))
    stage = await panel(world)
    hers = {"00100010": {"Value": [{"Alphabetic": "OUYANG^HE"}]}, "00100030": {"Value": ["19700101"]}}
    study = {"0020000D": {"Value": ["1.2.3"]}} | hers
    own = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.3"}
    files = [
        ("1.4.1", dicom.with_preamble(dicom.ct(0, 16, **own), b"\x7fELF")),
        ("1.4.2", dicom.ct(1, 16, StudyInstanceUID="9.9.9")),
        ("1.4.3", dicom.ct(2, 16, **own, PatientName="LI^SI=李^四")),
        ("1.4.4", b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>"),
        ("1.4.5", dicom.deflate_bomb()),
        ("1.4.6", dicom.deep_sequences()),
        ("1.4.7", dicom.encapsulated_pdf(corpus.sent("launch")[0])),
    ]
    liar.holds(study, files)
    assert len((await stage.clinic.post(f"{base(stage)}/search", patient_number="H1")).body["items"]) == 1
    line = (await stage.clinic.post(base(stage), uid="1.2.3")).body["id"]
    fetched = (await stage.clinic.post(f"{base(stage)}/{line}/fetch")).body
    assert (fetched["added"], fetched["next"]) == (0, -1)
    assert fetched["refused"] == [
        "images.stranger",
        "upload.active_content",
        "upload.hidden_content",
        "upload.too_complex",
        "upload.unknown_type",
    ]
    async with world.db.read() as tx:
        assert await tx.image_instances.find() == []
    (refused,) = [event for event in await stage.events() if event.code == "images.refused"]
    assert refused.public["files"] == 7
    liar.says(status=302, Location="http://169.254.169.254/")
    assert (await stage.clinic.post(f"{base(stage)}/{line}/fetch")).code == "images.pacs_unavailable"
    await liar.server.close()
