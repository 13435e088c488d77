"""Overlays: what may lie over the national rules, what is refused, and where each value then comes from."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from clinic import overlays
from clinic.consult import PANELS, ConsultKind
from clinic.gates import REGISTRY
from clinic.overlays import adopt, check, layered, load_overlay, rules_for
from clinic.registration import change_institution
from clinic.rulebook import GATES, NEEDED, RulesInvalid, in_force, load, shipped
from tests.clinic.overlay_source import overlay
from tests.clinic.test_rulebook import source
from tests.support.builders import World

TODAY = date(2026, 3, 2)
RULES = in_force(TODAY)


def test_every_gate_of_the_rules_has_a_function_and_no_other() -> None:
    assert set(REGISTRY) == GATES
    used = {gate for kind in RULES.kinds.values() for gate in kind.gates}
    assert used == GATES
    assert {name for name, kind in RULES.kinds.items() if kind.panel} == PANELS
    assert set(RULES.kinds) == set(ConsultKind)
    assert all(set(names) <= set(RULES.rules[rule].values) for rule, names in NEEDED.items())


def test_a_value_names_the_layer_it_came_from() -> None:
    rules = layered(RULES, [load_overlay(overlay())], "98", TODAY)
    assert rules.value("CN-07", "window_days") == 60
    assert rules.layer("CN-07", "window_days") == "cn-98.1"
    assert rules.layer("CN-07", "attestation") == "cn-2022.3"
    assert rules.version == "cn-2022.3+cn-98.1"
    assert rules.rules["CN-07"].citation == "某省规定"
    assert rules.rules["CN-06"].citation == RULES.rules["CN-06"].citation
    assert RULES.value("CN-07", "window_days") == 90  # merging changes nothing it was given


@pytest.mark.parametrize(
    ("province", "on", "holds"),
    [
        ("98", "2025-12-31", False),
        ("98", "2026-01-01", True),
        ("98", "2026-06-30", True),
        ("98", "2026-07-01", False),
        ("33", "2026-03-01", False),
        (None, "2026-03-01", False),
    ],
)
def test_a_province_holds_in_its_institutions_on_its_days(province: str | None, on: str, holds: bool) -> None:
    over = load_overlay(overlay(effective_to="2026-06-30"))
    rules = layered(RULES, [over], province, date.fromisoformat(on))
    assert (rules.value("CN-07", "window_days") == 60) is holds
    assert (rules is RULES) is not holds


def test_a_dated_notice_lies_above_the_province() -> None:
    notice = overlay(
        id="e", version="e.1", layer="emergency", province=None, effective_to="2026-12-31",
        rules={"CN-07": {"window_days": 365}}, relaxes=["CN-05"],
    )  # fmt: skip
    found = [load_overlay(notice), load_overlay(overlay())]
    check(found, shipped())
    rules = layered(RULES, found, "98", TODAY)
    assert (rules.value("CN-07", "window_days"), rules.layer("CN-07", "window_days")) == (365, "e.1")
    assert rules.relaxed["CN-05"].version == "e.1"
    assert rules.version == "cn-2022.3+cn-98.1+e.1"


@pytest.mark.parametrize(
    "changes",
    [
        {"layer": "city"},
        {"province": "3"},
        {"province": None},
        {"relaxes": ["CN-07"]},
        {"effective_to": "2020-01-01"},
        {"effective_from": "soon"},
        {"rules": {"CN-07": {"window_days": -1}}},
        {"rules": {"CN-07": {"window_days": True}}},
        {"rules": []},
        {"rules": {}},
        {"version": "a+b"},
        {"version": ""},
        {"title": {"zh": " ", "en": "x"}},
        {"citation": None},
        {"layer": "emergency"},  # without a last day
    ],
)
def test_a_broken_overlay_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RulesInvalid):
        load_overlay(overlay(**changes))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(RulesInvalid):
        load_overlay("not json")


@pytest.mark.parametrize(
    "changes",
    [
        {"base": "gb"},
        {"rules": {"CN-99": {"window_days": 60}}},
        {"rules": {"CN-07": {"patience": 60}}},
        {"rules": {"CN-07": {"window_days": 91}}},  # a province is stricter: a shorter window
        {"rules": {"CN-14": {"process_years": 2}}},  # or keeps longer
        {"layer": "emergency", "effective_to": "2026-12-31", "relaxes": ["CN-09"]},  # no gate
        {"layer": "emergency", "effective_to": "2026-12-31", "relaxes": ["CN-11"]},
    ],
)
def test_an_overlay_names_only_what_is_known_and_a_province_is_only_stricter(changes: dict[str, Any]) -> None:
    with pytest.raises(RulesInvalid):
        check([load_overlay(overlay(**changes))], shipped())


def test_a_province_may_be_as_strict_and_change_what_has_no_direction() -> None:
    same = load_overlay(overlay(rules={"CN-07": {"window_days": 90}, "HZ-01": {"early_minutes": 5}}))
    check([same], shipped())


@pytest.mark.parametrize(
    ("other", "contradict"),
    [
        ({"rules": {"CN-07": {"window_days": 30}}}, True),
        ({"rules": {"CN-07": {"window_days": 60}}}, False),
        ({"rules": {"CN-07": {"window_days": 30}}, "province": "33"}, False),
        ({"rules": {"CN-03": {"minimum_years": 5}}}, False),
        ({"rules": {"CN-07": {"window_days": 30}}, "effective_from": "2026-07-01"}, False),
        ({"rules": {"CN-07": {"window_days": 30}}, "effective_from": "2026-06-30"}, True),
        (
            {
                "rules": {"CN-07": {"window_days": 365}},
                "layer": "emergency",
                "province": None,
                "effective_to": "2026-05-01",
            },
            False,
        ),
    ],
)
def test_two_that_contradict_each_other_are_refused(other: dict[str, Any], contradict: bool) -> None:
    first = load_overlay(overlay(effective_to="2026-06-30"))
    second = load_overlay(overlay(**{"id": "cn-98b", "version": "cn-98b.1", **other}))
    if contradict:
        with pytest.raises(RulesInvalid, match="contradict"):
            check([first, second], shipped())
    else:
        check([first, second], shipped())


def test_two_without_a_last_day_and_one_twice() -> None:
    first = load_overlay(overlay())
    second = load_overlay(overlay(id="b", version="b.1", rules={"CN-07": {"window_days": 30}}))
    with pytest.raises(RulesInvalid, match="contradict"):
        check([first, second], shipped())
    with pytest.raises(RulesInvalid, match="twice"):
        check([first, first], shipped())


def test_the_shipped_overlays_hold_together() -> None:
    found = {each.id: each for each in overlays.shipped_overlays()}
    assert found["cn-99"].layer.kind == "province"
    notice = found["cn-emergency-2022-12"]
    assert notice.relaxes == {"CN-07"}
    assert not notice.holds("33", date(2022, 12, 11))
    assert notice.holds("33", date(2022, 12, 12))
    assert notice.holds(None, date(2023, 1, 7))
    assert not notice.holds("33", date(2023, 1, 8))


def test_the_operators_own_are_read_at_start_and_refused_whole(tmp_path: Path) -> None:
    assert adopt(None) == adopt(tmp_path / "none") == ()
    (tmp_path / "a.json").write_text(overlay(), "utf-8")
    try:
        assert adopt(tmp_path) == ("cn-98.1",)
        assert "cn-98.1" in {each.layer.version for each in overlays.adopted()}
        (tmp_path / "b.json").write_text(overlay(id="b", version="b.1", rules={"CN-07": {"window_days": 30}}), "utf-8")
        with pytest.raises(RulesInvalid, match="contradict"):
            adopt(tmp_path)
        (tmp_path / "b.json").write_bytes(b"\xff")
        with pytest.raises(RulesInvalid, match=r"b\.json"):
            adopt(tmp_path)
        assert "cn-98.1" in {each.layer.version for each in overlays.adopted()}  # what held goes on
    finally:
        adopt(None)


async def test_the_institutions_province_binds_it(world: World) -> None:
    assert rules_for(world.home, world.clock()).value("HZ-03", "required") == 0
    async with world.db.begin() as tx:
        moved = await change_institution(tx, world.home.id, {"province": "99"}, world.system)
    rules = rules_for(moved, world.clock())
    assert rules.value("HZ-03", "required") == 1
    assert rules.version == "cn-2022.3+cn-99-2026.1"
    before = datetime.fromisoformat("2025-12-31T15:59:59+00:00")  # 23:59:59 on 31 December in Shanghai
    assert rules_for(moved, before).value("HZ-03", "required") == 0


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("kinds", "advice"), None),
        (("kinds", "advice", "leading"), "nurse"),
        (("kinds", "advice", "gates"), []),
        (("kinds", "advice", "gates"), ["CN-01", "CN-01"]),
        (("kinds", "advice", "gates"), ["CN-99"]),
        (("kinds", "advice", "closing"), []),
        (("kinds", "advice", "closing"), ["bill"]),
        (("kinds", "advice", "may"), ["operate"]),
        (("kinds", "advice", "panel"), 1),
        (("rules", "CN-07", "stricter"), {"window_days": "shorter"}),
        (("rules", "CN-07", "stricter"), {"patience": "more"}),
        (("rules", "CN-09", "codes"), {}),
        (("rules", "CN-09", "codes"), {"a": {"zh": "", "en": "b"}}),
    ],
)
def test_a_rule_file_that_contradicts_itself_is_refused(where: tuple[str, ...], value: object) -> None:
    data = source()
    place = data
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    with pytest.raises(RulesInvalid):
        load(json.dumps(data))


def test_a_missing_kind_is_named() -> None:
    data = source()
    del data["kinds"]["advice"]
    with pytest.raises(RulesInvalid, match="advice"):
        load(json.dumps(data))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layer": "institution"}, "names the institution"),
        ({"institution": "i1"}, "names the institution"),
        ({"layer": "institution", "institution": "i1"}, "names no province"),
        (
            {"layer": "institution", "institution": "i1", "province": None, "relaxes": ["CN-07"]},
            "suspends nothing",
        ),
        ({"layer": "house"}, "neither province nor institution nor emergency"),
    ],
)
def test_an_institutions_overlay_names_it_and_nothing_else(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RulesInvalid, match=said):
        load_overlay(overlay(**changes))


def test_an_institution_is_never_looser_and_a_fixed_value_never_moves() -> None:
    own = {"layer": "institution", "institution": "i1", "province": None}
    with pytest.raises(RulesInvalid, match="looser"):
        check([load_overlay(overlay(**own, rules={"CN-07": {"window_days": 91}}))], [RULES])
    for years in (17, 19):
        with pytest.raises(RulesInvalid, match="looser"):
            check([load_overlay(overlay(rules={"AC-02": {"adult_years": years}}))], [RULES])
    check([load_overlay(overlay(rules={"AC-02": {"adult_years": 18}}))], [RULES])


def test_two_houses_may_say_different_things_one_may_not() -> None:
    first = load_overlay(overlay(id="a", version="a.1", layer="institution", institution="i1", province=None))
    other = load_overlay(
        overlay(
            id="b",
            version="b.1",
            layer="institution",
            institution="i2",
            province=None,
            rules={"CN-07": {"window_days": 30}},
        )
    )
    check([first, other], [RULES])
    same = load_overlay(
        overlay(
            id="c",
            version="c.1",
            layer="institution",
            institution="i1",
            province=None,
            rules={"CN-07": {"window_days": 30}},
        )
    )
    with pytest.raises(RulesInvalid, match="contradict"):
        check([first, same], [RULES])
