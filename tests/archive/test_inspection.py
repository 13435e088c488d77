"""What a regulator's case opens in the archive, and what a province's longer keeping does to a date."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from archive import access, catalogue, retention
from archive.policy import CONSENT, EMR, PROCESS_AV, PROCESS_TEXT
from archive.records import RetainedState
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import overlays, regulation
from clinic.actor import Actor
from clinic.errors import CaseOver, NoCase
from clinic.people import Role
from clinic.registration import change_institution
from clinic.regulation import NewCase
from tests.archive.keep import Kept, fresh
from tests.clinic.overlay_source import overlay
from tests.support.builders import World


async def inspector(made: Kept, *scope: str) -> Actor:
    world = made.world
    by = Actor("reg", world.home.id, (Role.REGULATOR,))
    day = made.consult.starts_at.date()
    new = NewCase("卫监17", "区监督所", "投诉核查调取资料", scope, day, day, world.clock() + timedelta(days=2))
    async with world.db.begin() as tx:
        case = await regulation.ask(tx, new, by)
        await regulation.decide(tx, case.id, True, "", Actor.staff(world.approver))
    return by


async def test_a_recording_is_watched_under_the_case_each_time_on_record(world: World) -> None:
    made = await fresh(world)
    by = Actor("reg", world.home.id, (Role.REGULATOR,))
    with pytest.raises(NoCase):
        async with world.db.begin() as tx:
            await access.view(tx, by, made.recording.id)
    await inspector(made, "recording")
    async with world.db.begin() as tx:
        seen = await access.view(tx, by, made.recording.id)
    assert (seen.basis.value, seen.grant) == ("approved", None)
    used, viewed = world.db.events[-2:]
    assert (used.code, viewed.code) == ("regulator.used", "view.recording")
    assert viewed.public["case"] == used.public["case"]
    async with world.db.read() as tx:
        assert [each.recording.id for each in await catalogue.search(tx, by)] == [made.recording.id]
        assert (await catalogue.entry(tx, by, made.recording.id)).recording.id == made.recording.id
    world.clock.advance(days=2)
    async with world.db.read() as tx:
        assert await catalogue.search(tx, by) == []
        with pytest.raises(CaseOver):
            await catalogue.entry(tx, by, made.recording.id)


async def test_a_restricted_recording_stays_open_to_the_regulator(world: World) -> None:
    made = await fresh(world)
    by = await inspector(made, "recording")
    async with world.db.begin() as tx:
        record = made.records[PROCESS_AV]
        await tx.retained_records.get(record.id)
        await tx.retained_records.save(replace(record, state=RetainedState.RESTRICTED, restricted=True))
        await tx.append(AuditEvent(EventCode.RECORD_RESTRICTED, world.home.id, "system", record.consult_id, record.id))
    async with world.db.begin() as tx:
        assert (await access.view(tx, by, made.recording.id)).basis.value == "approved"


async def test_an_archive_keeps_as_long_as_its_province_says(world: World, tmp_path: Path) -> None:
    made = await fresh(world)

    async def years() -> dict[str, int]:
        async with world.db.read() as tx:
            dues = await retention.assessment(tx, world.home.id)
        start = made.consult.starts_at.year
        return {each.record.record_class: each.due_on.year - start for each in dues}

    assert await years() == {PROCESS_AV: 3, PROCESS_TEXT: 3, EMR: 15, CONSENT: 15}
    (tmp_path / "a.json").write_text(overlay(rules={"CN-14": {"process_years": 5, "record_years": 20}}), "utf-8")
    try:
        overlays.adopt(tmp_path)
        async with world.db.begin() as tx:
            await change_institution(tx, world.home.id, {"province": "98"}, Actor.staff(world.admin))
        assert await years() == {PROCESS_AV: 5, PROCESS_TEXT: 5, EMR: 20, CONSENT: 20}
        async with world.db.read() as tx:
            due = (await retention.assessment(tx, world.home.id))[0]
        assert due.why[0].policy_version == "cn-2022.3+cn-98.1"
    finally:
        overlays.adopt(None)


async def test_no_longer_time_than_the_rules_of_the_place(world: World, tmp_path: Path) -> None:
    """A province that shortens the longest grant shortens the usual one with it."""
    made = await fresh(world)
    (tmp_path / "a.json").write_text(overlay(rules={"AC-03": {"maximum_hours": 8}}), "utf-8")
    try:
        overlays.adopt(tmp_path)
        async with world.db.begin() as tx:
            await change_institution(tx, world.home.id, {"province": "98"}, Actor.staff(world.admin))
            asked = await access.request(
                tx, Actor.staff(world.archivist), made.recording.id, "质控抽查本月录像第三季度"
            )
            granted = await access.decide(tx, Actor.staff(world.approver), asked.id, True)
        assert granted.expires_at == world.clock() + timedelta(hours=8)
    finally:
        overlays.adopt(None)
