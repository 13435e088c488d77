"""The allow-list of the hospital's archive: this patient's studies, named by the inviting side, each step on record."""

from dataclasses import replace
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic.actor import Actor
from clinic.errors import NotPermitted
from imaging import fetching
from imaging.errors import Stranger, TooMany
from imaging.fetching import Batch, FoundStudy
from imaging.identity import Named
from tests.imaging.test_case_store import Stage, staged
from tests.imaging.test_identity import patient
from tests.support.builders import World


def study(uid: str = "1.2", **named: Any) -> FoundStudy:
    values: dict[str, Any] = {"names": ("OUYANG^HE",), "patient_id": "H1", "birth_date": "19700102", "sex": "F"} | named
    return FoundStudy(uid, Named(**values), "20260301", ("CT",), "chest", 40)


@pytest.mark.parametrize(
    ("named", "hers"),
    [
        ({}, True),
        ({"names": ("欧阳^鹤",)}, True),
        ({"names": ()}, True),
        ({"names": (), "birth_date": ""}, False),
        ({"birth_date": ""}, False),
        ({"birth_date": "", "patient_id": "110101197001020027"}, True),
        ({"patient_id": "110101197001020028"}, False),
        ({"birth_date": "19700103"}, False),
        ({"sex": "M"}, False),
        ({"names": ("LI^SI",)}, False),
    ],
)
def test_whose_study_it_is(named: dict[str, Any], hers: bool) -> None:
    assert bool(fetching.own([study(**named)], patient())) is hers


async def hers(stage: Stage, uid: str = "1.2") -> FoundStudy:
    async with stage.world.db.read() as tx:
        one = await tx.patients.get(stage.booked.consult.patient_id)
    day = one.birth_date.strftime("%Y%m%d")
    return study(uid, names=(one.name,), birth_date=day, sex=one.gender, patient_id="")


async def test_search_allow_and_fetch_are_on_record_without_a_name(world: World) -> None:
    stage = await staged(world)
    found, other = await hers(stage), study("1.9", names=("LI^SI",), birth_date="18000101")
    async with world.db.begin() as tx:
        assert await fetching.searched(tx, stage.clinic, stage.consult, [found, other]) == (found,)
    async with world.db.begin() as tx:
        row = await fetching.allow(tx, stage.clinic, stage.consult, found)
    async with world.db.begin() as tx:
        assert await fetching.allow(tx, stage.clinic, stage.consult, found) == row
        await fetching.fetched(tx, stage.clinic, row, Batch(1, 2, 3, -1))
    assert (row.uid, row.day, row.modalities, row.instances) == ("1.2", "20260301", ("CT",), 40)
    async with world.db.read() as tx:
        assert await fetching.allowed(tx, stage.clinic, stage.consult) == (row,)
        assert await fetching.line(tx, stage.clinic, stage.consult, row.id) == row
    told = [(each.code, dict(each.public)) for each in world.db.events if each.code.startswith("images.pacs")]
    assert told == [
        ("images.pacs_searched", {"found": 1, "others": 1}),
        ("images.pacs_allowed", {"modalities": ["CT"], "instances": 40}),
        ("images.pacs_fetched", {"added": 1, "known": 2, "refused": 3, "next": -1}),
    ]


async def test_strangers_other_consults_and_the_wrong_hands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await staged(world)
    found = await hers(stage)
    for actor in (stage.expert, Actor.staff(world.archivist)):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await fetching.searched(tx, actor, stage.consult, [found])
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await fetching.allow(tx, actor, stage.consult, found)
    with pytest.raises(Stranger):
        async with world.db.begin() as tx:
            await fetching.allow(tx, stage.clinic, stage.consult, replace(found, named=Named(("LI^SI",))))
    async with world.db.begin() as tx:
        row = await fetching.allow(tx, stage.clinic, stage.consult, found)
    other = await staged(world, expert=1)
    async with world.db.read() as tx:
        with pytest.raises(MissingRow):
            await fetching.line(tx, other.clinic, other.consult, row.id)
    monkeypatch.setattr(fetching, "MOST_STUDIES", 1)
    with pytest.raises(TooMany):
        async with world.db.begin() as tx:
            await fetching.allow(tx, stage.clinic, stage.consult, await hers(stage, "1.3"))
    assert len(world.db.rows("pacs_studies")) == 1
