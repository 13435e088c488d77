"""What an institution decides about recording: versions, the rules' limits, the installation's answer otherwise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clinic import overlays
from clinic.actor import Actor
from clinic.errors import InvalidInput, NotPermitted
from clinic.overlays import layered, load_overlay, rules_for
from clinic.registration import change_institution
from clinic.rulebook import in_force
from consent import house_policies
from consent.effects import ExamViews, LateJoiner, RecordingPolicy
from consent.errors import PolicyNotAllowed
from consent.house_policies import CHOICES, HousePolicy, PolicyBook, Source, answer, policy_for
from tests.clinic.overlay_source import overlay
from tests.support.builders import World
from tests.support.clock import START

RULES = in_force(START.date())
DEFAULT = RecordingPolicy()
STRICT = {"exam_views_by_consent": 0, "late_joiner_pause": 0, "recording_basis_legal_duty": 0}


async def changed(world: World, reason: str = "伦理委员会决定", **changes: str | None) -> HousePolicy | None:
    async with world.db.begin() as tx:
        return await house_policies.change(tx, changes, reason, Actor.staff(world.admin))


def test_every_policy_of_a_recording_may_be_answered_and_every_option_is_a_rule() -> None:
    assert set(CHOICES) - {"recording_basis"} == set(RecordingPolicy.__dataclass_fields__)
    options = {f"{name}_{option}" for name, given in CHOICES.items() for option in given}
    assert options == set(RULES.rules["HZ-17"].values)
    for name, kind in house_policies._TYPES.items():
        assert {option.value for option in kind} == set(CHOICES[name])


@pytest.mark.parametrize(
    ("own", "default", "forbidden", "expected"),
    [
        (None, "pause", (), ("pause", Source.INSTALLATION)),
        ("wait", "pause", (), ("wait", Source.HOUSE)),
        ("pause", "wait", (), ("pause", Source.HOUSE)),
        ("pause", "wait", ("pause",), ("wait", Source.RULES)),
        (None, "pause", ("pause",), ("wait", Source.RULES)),
        ("wait", "pause", ("wait", "pause"), ("wait", Source.HOUSE)),
        ("pause", "pause", ("wait", "pause"), ("wait", Source.RULES)),
    ],
)
def test_house_then_installation_then_what_the_rules_leave(
    own: str | None, default: str, forbidden: tuple[str, ...], expected: tuple[str, Source]
) -> None:
    over = load_overlay(
        overlay(rules={"HZ-17": {f"late_joiner_{each}": 0 for each in forbidden} or {"exam_views_never": 1}})
    )
    found = answer("late_joiner", own, default, layered(RULES, [over], "98", START.date()))
    assert (found.value, found.source) == expected
    assert "wait" in found.allowed, "the most careful option always stays"


async def test_each_change_is_a_version_with_its_reason_on_record(world: World) -> None:
    first = await changed(world, late_joiner="wait", exam_views="by_consent")
    assert first is not None and first.number == 1
    event = world.db.events[-1]
    assert (event.code, event.actor_id) == ("policy.changed", world.admin.id)
    assert event.public == {"number": 1, "changed": ["exam_views:by_consent", "late_joiner:wait"]}
    assert event.private == {"reason": "伦理委员会决定"}
    assert await changed(world, late_joiner="wait") is None, "nothing new, no version"
    second = await changed(world, late_joiner=None)
    assert second is not None and dict(second.values) == {"exam_views": "by_consent"}
    assert world.db.events[-1].public["changed"] == ["late_joiner:default"]
    async with world.db.read() as tx:
        assert [row.number for row in await house_policies.versions(tx, world.home.id)] == [1, 2]
        assert await house_policies.current(tx, world.home.id) == {"exam_views": "by_consent"}
        assert await house_policies.current(tx, world.partner.id) == {}


async def test_the_basis_of_recording_changes_the_institution_itself(world: World) -> None:
    assert await changed(world, recording_basis="legal_duty") is None, "no version: it is a member of the institution"
    async with world.db.read() as tx:
        assert (await tx.institutions.get(world.home.id)).recording_basis == "legal_duty"
    assert world.db.codes()[-1] == "admin.institution_changed"
    before = len(world.db.events)
    assert await changed(world, recording_basis="legal_duty") is None
    assert len(world.db.events) == before


@pytest.mark.parametrize(
    "changes",
    [{"late_joiner": "never"}, {"everything": "on"}, {"recording_basis": None}, {"late_joiner": "wait", "x" * 60: "y"}],
)
async def test_what_is_no_policy_is_refused_and_nothing_of_it_is_kept(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await changed(world, **changes)
    assert world.db.rows("house_policies") == []


async def test_only_the_administrator_and_only_with_a_reason(world: World) -> None:
    with pytest.raises(InvalidInput):
        await changed(world, reason=" ", late_joiner="wait")
    for staff in (world.doctor, world.archivist, world.approver):
        with pytest.raises(NotPermitted):
            async with world.db.begin() as tx:
                await house_policies.change(tx, {"late_joiner": "wait"}, "因为", Actor.staff(staff))


async def test_a_province_takes_a_choice_away_at_once(world: World, tmp_path: Path) -> None:
    await changed(world, exam_views="by_consent")
    book = PolicyBook(DEFAULT)
    assert book.of(world.home.id, world.clock()) is DEFAULT, "a house nobody has read yet"
    await book.load(world.db)
    assert book.of(world.home.id, world.clock()).exam_views is ExamViews.BY_CONSENT
    assert book.of(world.partner.id, world.clock()) == DEFAULT
    (tmp_path / "a.json").write_text(overlay(rules={"HZ-17": STRICT}), "utf-8")
    try:
        overlays.adopt(tmp_path)
        async with world.db.begin() as tx:
            await change_institution(tx, world.home.id, {"province": "98"}, Actor.staff(world.admin))
        await book.load(world.db, world.home.id)
        found = book.of(world.home.id, world.clock())
        assert (found.exam_views, found.late_joiner) == (ExamViews.NEVER, LateJoiner.WAIT)
        with pytest.raises(PolicyNotAllowed) as refused:
            await changed(world, late_joiner="pause")
        assert refused.value.field == "late_joiner"
        with pytest.raises(PolicyNotAllowed):
            await changed(world, recording_basis="legal_duty")
        with pytest.raises(InvalidInput):
            async with world.db.begin() as tx:
                await change_institution(tx, world.home.id, {"recording_basis": "legal_duty"}, Actor.staff(world.admin))
    finally:
        overlays.adopt(None)


def test_an_installation_with_other_settings_is_the_default_of_its_houses() -> None:
    default = replace(DEFAULT, late_joiner=LateJoiner.WAIT)
    assert policy_for({}, default, RULES) == default
    assert policy_for({"late_joiner": "pause"}, default, RULES).late_joiner is LateJoiner.PAUSE


async def test_an_institutions_overlay_binds_it_alone_and_never_below_its_province(world: World) -> None:
    own = json.loads(overlay(id="own", version="own.1", layer="institution", province=None, institution=world.home.id))
    own["rules"] = {"CN-07": {"window_days": 80}, "AC-01": {"open_minutes": 30}, "HZ-12": {"keep_minutes": 20}}
    home = replace(world.home, province="98")
    files = [load_overlay(overlay()), load_overlay(json.dumps(own))]
    overlays.check(files, [RULES])
    found = layered(RULES, files, "98", START.date(), home.id)
    assert found.value("CN-07", "window_days") == 60, "the province asks for more"
    assert found.layer("AC-01", "open_minutes") == "own.1"
    assert found.value("HZ-12", "keep_minutes") == 20
    assert layered(RULES, files, None, START.date(), world.partner.id) is RULES
    assert rules_for(home, world.clock()) == rules_for(home, world.clock())
