"""Rule sets as versioned data: each rule has its wording, its citation and its values; no constants in code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from clinic.errors import ClinicError

NEEDED: Mapping[str, tuple[str, ...]] = {
    "CN-01": (),
    "CN-02": (),
    "CN-03": ("minimum_years",),
    "CN-06": ("minimum_identity_level", "panel_identity_level"),
    "CN-07": ("window_days",),
    "CN-09": (),
    "CN-12": (),
    "CN-14": ("process_years", "record_years"),
    "TM-01": (),
    "TM-02": ("minimum_years",),
    "HZ-01": ("early_minutes", "late_minutes", "idle_minutes"),
}


class RulesInvalid(ClinicError):
    """A rule file is incomplete or contradicts itself; `detail` says where. The server does not start with it."""

    code = "rules.invalid"


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    text: str
    text_en: str
    citation: str
    citation_en: str
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RuleSet:
    id: str
    version: str
    jurisdiction: str
    effective_from: date
    effective_to: date | None  # the last day it is in force; None = until replaced
    rules: Mapping[str, Rule]

    def value(self, rule_id: str, name: str) -> int:
        return self.rules[rule_id].values[name]

    def in_force(self, on: date) -> bool:
        return self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)


def load(source: str) -> RuleSet:
    """Parse one rule file. Raises RulesInvalid naming the place."""
    try:
        data = json.loads(source)
        rules = {rule_id: _rule(rule_id, body) for rule_id, body in data["rules"].items()}
        loaded = RuleSet(
            id=_words(data, "id"),
            version=_words(data, "version"),
            jurisdiction=_words(data, "jurisdiction"),
            effective_from=date.fromisoformat(data["effective_from"]),
            effective_to=date.fromisoformat(data["effective_to"]) if data["effective_to"] else None,
            rules=rules,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RulesInvalid(f"{type(error).__name__}: {error}") from error
    for rule_id, names in NEEDED.items():
        if rule_id not in rules:
            raise RulesInvalid(f"{rule_id} missing")
        if missing := [name for name in names if name not in rules[rule_id].values]:
            raise RulesInvalid(f"{rule_id}: {', '.join(missing)} missing")
    if loaded.effective_to is not None and loaded.effective_to < loaded.effective_from:
        raise RulesInvalid("effective_to before effective_from")
    return loaded


def _rule(rule_id: str, body: Mapping[str, Any]) -> Rule:
    values = body["values"]
    if any(isinstance(value, bool) or not isinstance(value, int) or value < 0 for value in values.values()):
        raise RulesInvalid(f"{rule_id}: values are whole numbers, not negative")
    return Rule(
        rule_id,
        _words(body["text"], "zh"),
        _words(body["text"], "en"),
        _words(body["citation"], "zh"),
        _words(body["citation"], "en"),
        dict(values),
    )


def _words(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not value.strip():
        raise RulesInvalid(f"{name} is empty")
    return value


def choose(rule_sets: tuple[RuleSet, ...], on: date) -> RuleSet:
    """The one set in force on a day. Raises RulesInvalid when there is none or more than one."""
    matching = [rule_set for rule_set in rule_sets if rule_set.in_force(on)]
    if len(matching) != 1:
        raise RulesInvalid(f"{len(matching)} rule sets in force on {on}")
    return matching[0]


@cache
def shipped() -> tuple[RuleSet, ...]:
    """The rule sets in this package, by version."""
    found = [
        load(entry.read_text("utf-8"))
        for entry in files("clinic.rules").iterdir()
        if entry.name.endswith(".json") and not entry.name.startswith("reasons.")
    ]
    return tuple(sorted(found, key=lambda rule_set: rule_set.version))


def in_force(on: date) -> RuleSet:
    """The shipped rule set in force on a day (the institution's calendar)."""
    return choose(shipped(), on)
