"""A panel ended early on the real store: copies without a paper, papers of what was signed, and no copy that lies."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from archive.policy import PANEL_COPY
from audit.verify import verify
from clinic.consult import Consult
from clinic.documents import canonical
from clinic.errors import PapersMissing
from huizhen.evidence.press import Press
from huizhen.outcome.office import OutcomeOffice
from huizhen.outcome.package import packed
from tests.huizhen.outcome_house import House
from tests.huizhen.test_outcome import changed, run


def without(package: bytes, make: Callable[[dict[str, Any]], Any]) -> bytes:
    """The package with another dossier."""

    def other(data: bytes) -> bytes:
        dossier = json.loads(data)
        make(dossier)
        return canonical(dossier)

    return changed(package, "data/dossier.json", other)


async def test_a_panel_ended_before_anybody_signed_leaves_copies_without_a_paper(house: House) -> None:
    consult = await house.terminated()
    assert await house.office.make_due() == 2
    copies, world = await house.copies(consult), house.world
    assert set(copies) == {world.home.id, world.partner.id}
    for copy in copies.values():
        package = await house.office.read(copy)
        report = house.proved(package)
        assert [str(finding) for finding in report.findings] == []
        assert report.facts["ended early"].startswith("terminated_unsuitable (needs_examination), ")
        assert report.facts["ended early"].endswith("no opinion was signed; there is no paper")
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            (name,) = [each for each in archive.namelist() if each.endswith("data/dossier.json")]
            dossier = json.loads(archive.read(name))
            assert not any(each.endswith(".pdf") for each in archive.namelist())
        assert dossier["ended"]["said"] == {
            "zh": "会诊提前终止，原因：需要当面检查。终止时没有专家签署意见，没有会诊意见书。",
            "en": "The consult was ended early; reason: A hands-on examination is needed. "
            "No expert had signed an opinion by then; there is no opinion paper.",
        }
    async with house.database.read() as tx:
        assert await tx.opinion_papers.find(consult_id=consult.id) == []
        kept = {row.institution_id for row in await tx.retained_records.find(record_class=PANEL_COPY)}
    assert kept == {world.home.id, world.partner.id}
    with pytest.raises(PapersMissing):
        await house.office.paper(consult, "zh")
    whole = verify(house.folder / "data" / "huizhen.db", house.blobs.directory, house.keys, [])
    assert [str(finding) for finding in whole.findings] == []


async def test_what_was_signed_before_the_end_is_printed_and_proved(house: House) -> None:
    house.office = OutcomeOffice(replace(house.office._tools, press=Press()))
    consult = await house.terminated(1)
    assert await house.office.make_due() == 2
    for copy in (await house.copies(consult)).values():
        report = house.proved(await house.office.read(copy))
        assert [str(finding) for finding in report.findings] == []
        assert report.facts["ended early"].endswith("what was signed before the end")
        assert report.facts["opinions"] == "1 signed, 0 dissenting"
    path = house.folder / "paper.pdf"
    for locale, wanted in (
        ("zh", ("会诊提前终止，原因：需要当面检查", "建议冠脉造影", "没有签署共同意见", "没有签署决定")),
        ("en", ("ended early; reason: A hands-on examination", "before a joint report", "signed a decision")),
    ):
        path.write_bytes(await house.office.paper(consult, locale))
        text = re.sub(r"\s+", "" if locale == "zh" else " ", run("pdftotext", "-layout", path, "-"))
        for each in wanted:
            assert each in text, (each, text)
        assert "Signature is Valid" in run("pdfsig", "-nocert", path)


async def test_no_copy_passes_for_ended_early_that_was_not(house: House) -> None:
    """Neither by leaving the paper out, nor by telling another end, nor by none."""
    package = await _made(house, await house.closed())
    told = {"as": "terminated_unsuitable", "code": "first_visit", "at": "2026-03-02T09:00:00+00:00"}
    other = house.proved(without(package, lambda dossier: dossier.update(ended=told)))
    assert "copy.paper" in {each.code for each in other.findings}
    assert any(each.where == "end" for each in other.findings)


@pytest.mark.parametrize(
    "make",
    [
        lambda dossier: dossier.pop("ended"),
        lambda dossier: dossier["ended"].update(code="first_visit"),
        lambda dossier: dossier["ended"].update({"as": "cancelled"}),
    ],
)
async def test_a_copy_of_an_ended_panel_tells_the_end_of_the_trail(
    house: House, make: Callable[[dict[str, Any]], Any]
) -> None:
    report = house.proved(without(await _made(house, await house.terminated()), make))
    assert "end" in {each.where for each in report.findings}
    assert report.facts == {}


async def test_without_its_paper_a_copy_is_told_to_be_incomplete(house: House) -> None:
    """Even where its own house seals the manifest anew, as one without a paper."""
    consult = await house.closed()
    package = await _made(house, consult)
    copy = (await house.copies(consult))[house.world.home.id]
    content: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        for entry in archive.namelist():
            name = entry.partition("/data/")[2]
            if name and name != "paper.pdf":
                content[name] = archive.read(entry)
    forged = packed(house.world.sealer, copy, "县人民医院", content, house.world.clock())
    found = {each.code for each in house.proved(forged.data).findings}
    assert found == {"copy.paper"}


async def _made(house: House, consult: Consult) -> bytes:
    await house.office.make_due()
    return await house.office.read((await house.copies(consult))[house.world.home.id])
