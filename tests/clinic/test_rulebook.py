import json
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from clinic import rulebook
from clinic.rulebook import RulesInvalid, choose, in_force, load


def source() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files("clinic.rules").joinpath("cn-2022.json").read_text("utf-8"))
    return data


def test_the_shipped_rules_have_words_and_citations() -> None:
    rules = in_force(date(2026, 3, 2))
    assert rules.version == "cn-2022.3"
    assert rules.value("CN-07", "window_days") == 90
    assert all(rule.text and rule.text_en and rule.citation and rule.citation_en for rule in rules.rules.values())


def test_no_rules_before_the_first_day() -> None:
    with pytest.raises(RulesInvalid):
        in_force(date(2021, 1, 1))


def test_versions_follow_each_other_without_overlap() -> None:
    old, new = source(), source()
    old["effective_to"], new["effective_from"], new["version"] = "2026-12-31", "2027-01-01", "cn-2027.1"
    sets = (load(json.dumps(old)), load(json.dumps(new)))
    assert choose(sets, date(2026, 12, 31)).version == "cn-2022.3"
    assert choose(sets, date(2027, 1, 1)).version == "cn-2027.1"
    with pytest.raises(RulesInvalid):
        choose((*sets, rulebook.shipped()[0]), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("rules", "CN-07", "values", "window_days"), "90"),
        (("rules", "CN-07", "values", "window_days"), -1),
        (("rules", "CN-07", "values"), {}),
        (("rules", "CN-07", "citation", "zh"), " "),
        (("rules", "CN-07", "citation"), None),
        (("rules", "CN-07"), None),
        (("effective_from",), "soon"),
        (("effective_to",), "2020-01-01"),
        (("version",), ""),
    ],
)
def test_a_broken_rule_file_is_refused(where: tuple[str, ...], value: object) -> None:
    data = source()
    place = data
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    with pytest.raises(RulesInvalid):
        load(json.dumps(data))


def test_a_missing_rule_is_named() -> None:
    data = source()
    del data["rules"]["CN-07"]
    with pytest.raises(RulesInvalid, match="CN-07"):
        load(json.dumps(data))
    data = source()
    del (
        data["rules"]["CN-06"]["values"]["panel_identity_level"],
        data["rules"]["CN-06"]["stricter"]["panel_identity_level"],
    )
    with pytest.raises(RulesInvalid, match="panel_identity_level missing"):
        load(json.dumps(data))
    with pytest.raises(RulesInvalid):
        load("not json")
