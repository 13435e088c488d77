"""What lies over the national rules: a province's values, an institution's, a dated notice (CN-08 d). Pure.

An overlay names only rules and values its national set knows. A province and an institution may only be stricter or
longer and suspend nothing; a notice has a first and a last day. Two overlays of one kind that hold at once and say
different things are refused. Where a province asks for more than an institution's own value, the province's stands.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, lru_cache
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

from clinic.calendar import local_date
from clinic.people import Institution
from clinic.rulebook import GATES, Layer, Rule, RuleSet, RulesInvalid, in_force, shipped, whole, words

PROVINCE = "province"
INSTITUTION = "institution"
EMERGENCY = "emergency"
_ORDER = (PROVINCE, INSTITUTION, EMERGENCY)  # the later lies over the earlier
_CODE = re.compile(r"\d{2}\Z")  # the first two digits of GB/T 2260


@dataclass(frozen=True, slots=True)
class Overlay:
    """One file. `province` None: every institution under the base set."""

    id: str
    base: str
    province: str | None
    effective_from: date
    effective_to: date | None  # the last day
    layer: Layer
    values: Mapping[tuple[str, str], int]  # (rule, value name)
    relaxes: frozenset[str]
    institution: str | None = None  # its id: binds this one alone

    def holds(self, province: str | None, on: date, institution: str | None = None) -> bool:
        """Whether it binds an institution of that province on a day of its calendar."""
        placed = self.province is None or self.province == province
        placed = placed and (self.institution is None or self.institution == institution)
        return placed and self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)


def load_overlay(source: str) -> Overlay:
    """Parse one file. Raises RulesInvalid naming the place; `check` compares it with the sets and with the others."""
    try:
        data = json.loads(source)
        found = Overlay(
            id=str(data["id"]),
            base=str(data["base"]),
            province=data["province"],
            effective_from=date.fromisoformat(data["effective_from"]),
            effective_to=date.fromisoformat(data["effective_to"]) if data["effective_to"] else None,
            layer=Layer(str(data["version"]), str(data["layer"]), words(data["title"]), words(data["citation"])),
            values=_values(data["rules"]),
            relaxes=frozenset(data["relaxes"]),
            institution=data.get("institution"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RulesInvalid(f"overlay: {type(error).__name__}: {error}") from error
    _check_itself(found)
    return found


def _values(rules: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    for rule_id, values in rules.items():
        if not whole(values):
            raise RulesInvalid(f"{rule_id}: values are whole numbers, not negative")
    return {(rule_id, name): value for rule_id, values in rules.items() for name, value in values.items()}


def _check_itself(overlay: Overlay) -> None:
    where, version = f"overlay {overlay.id}", overlay.layer.version
    if not overlay.id or not version or "+" in version:
        raise RulesInvalid(f"{where}: id and version, the latter without +")
    if overlay.layer.kind not in _ORDER:
        raise RulesInvalid(f"{where}: neither province nor institution nor emergency")
    if (overlay.layer.kind == INSTITUTION) is (overlay.institution is None):
        raise RulesInvalid(f"{where}: an institution's overlay, and no other, names the institution")
    if overlay.layer.kind == INSTITUTION and (overlay.province is not None or overlay.relaxes):
        raise RulesInvalid(f"{where}: an institution's overlay names no province and suspends nothing")
    if overlay.province is not None and not _CODE.match(str(overlay.province)):
        raise RulesInvalid(f"{where}: a province is two digits")
    if overlay.effective_to is not None and overlay.effective_to < overlay.effective_from:
        raise RulesInvalid(f"{where}: effective_to before effective_from")
    if overlay.layer.kind == PROVINCE and (overlay.province is None or overlay.relaxes):
        raise RulesInvalid(f"{where}: a province's overlay names its province and suspends nothing")
    if overlay.layer.kind == EMERGENCY and overlay.effective_to is None:
        raise RulesInvalid(f"{where}: a notice has a last day")
    if not overlay.values and not overlay.relaxes:
        raise RulesInvalid(f"{where}: changes nothing")


def check(overlays: Sequence[Overlay], sets: Iterable[RuleSet]) -> None:
    """Raises RulesInvalid for an unknown rule or value, a looser province, or two that contradict each other."""
    by_id: dict[str, list[RuleSet]] = {}
    for rule_set in sets:
        by_id.setdefault(rule_set.id, []).append(rule_set)
    for overlay in overlays:
        bases = by_id.get(overlay.base, [])
        if not bases:
            raise RulesInvalid(f"overlay {overlay.id}: no rule set {overlay.base}")
        for base in bases:
            _check_against(overlay, base)
    for first, second in combinations(overlays, 2):
        _check_pair(first, second)


def _check_against(overlay: Overlay, base: RuleSet) -> None:
    if unknown := overlay.relaxes - GATES:
        raise RulesInvalid(f"overlay {overlay.id}: no gate {', '.join(sorted(unknown))}")
    for (rule_id, name), value in overlay.values.items():
        rule = base.rules.get(rule_id)
        if rule is None or name not in rule.values:
            raise RulesInvalid(f"overlay {overlay.id}: {rule_id} {name} is not known")
        if overlay.layer.kind != EMERGENCY and _looser(rule, name, value):
            raise RulesInvalid(f"overlay {overlay.id}: {rule_id} {name} is looser than the national rule")


def _looser(rule: Rule, name: str, value: int) -> bool:
    way, national = rule.stricter.get(name), rule.values[name]
    if way == "fixed":
        return value != national
    return (way == "more" and value < national) or (way == "less" and value > national)


def _check_pair(first: Overlay, second: Overlay) -> None:
    """Of one kind, over the same institutions, on the same day: the same value twice needs the same number."""
    if first.id == second.id and first.layer.version == second.layer.version:
        raise RulesInvalid(f"overlay {first.id}: twice")
    if first.layer.kind != second.layer.kind or first.base != second.base:
        return
    if None not in (first.province, second.province) and first.province != second.province:
        return
    if first.institution != second.institution:
        return
    if not _meet(first, second):
        return
    for key in first.values.keys() & second.values.keys():
        if first.values[key] != second.values[key]:
            raise RulesInvalid(f"overlays {first.id} and {second.id} contradict each other: {' '.join(key)}")


def _meet(first: Overlay, second: Overlay) -> bool:
    """Whether there is a day on which both hold."""
    begins = max(first.effective_from, second.effective_from)
    ends = [each.effective_to for each in (first, second) if each.effective_to is not None]
    return not ends or begins <= min(ends)


def layered(
    base: RuleSet, overlays: Iterable[Overlay], province: str | None, on: date, institution: str | None = None
) -> RuleSet:
    """The set with what holds there and then laid over it: province, institution, dated notices on top."""
    holding = [each for each in overlays if each.base == base.id and each.holds(province, on, institution)]
    if not holding:
        return base
    holding.sort(key=lambda each: (_ORDER.index(each.layer.kind), each.effective_from, each.id))
    rules, changed, relaxed = dict(base.rules), dict(base.changed), dict(base.relaxed)
    for overlay in holding:
        for (rule_id, name), value in overlay.values.items():
            if overlay.layer.kind == INSTITUTION and _looser(rules[rule_id], name, value):
                continue  # the province asks for more
            rules[rule_id] = _with(rules[rule_id], name, value, overlay.layer)
            changed[rule_id, name] = overlay.layer
        relaxed |= dict.fromkeys(overlay.relaxes, overlay.layer)
    version = "+".join((base.version, *(each.layer.version for each in holding)))
    return replace(base, version=version, rules=rules, changed=changed, relaxed=relaxed)


def _with(rule: Rule, name: str, value: int, layer: Layer) -> Rule:
    """The changed rule cites what changed it."""
    return replace(
        rule,
        values={**rule.values, name: value},
        citation=layer.citation.zh,
        citation_en=layer.citation.en,
    )


@cache
def shipped_overlays() -> tuple[Overlay, ...]:
    """The overlays in this package."""
    found = [
        load_overlay(entry.read_text("utf-8"))
        for entry in files("clinic.rules.overlays").iterdir()
        if entry.name.endswith(".json")
    ]
    found.sort(key=lambda each: each.id)
    check(found, shipped())
    return tuple(found)


_own: list[Overlay] = []  # the operator's, read once at the start of the process


def adopted() -> tuple[Overlay, ...]:
    """Every overlay this process goes by."""
    return (*shipped_overlays(), *_own)


def adopt(folder: Path | None) -> tuple[str, ...]:
    """Take the operator's own overlays (`*.json` of the folder) beside the shipped ones; their versions.

    A missing folder is an empty one. Raises RulesInvalid: the server does not start with a file that contradicts the
    rules or another overlay.
    """
    found: list[Overlay] = []
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        try:
            found.append(load_overlay(path.read_text("utf-8")))
        except (RulesInvalid, OSError, UnicodeDecodeError) as error:
            raise RulesInvalid(f"{path.name}: {error}") from error
    check((*shipped_overlays(), *found), shipped())
    _own[:] = found
    _bound.cache_clear()
    return tuple(each.layer.version for each in found)


def rules_for(institution: Institution, now: datetime) -> RuleSet:
    """What binds this institution at `now`: the national set, its province's overlay, dated notices in force."""
    return _bound(institution.id, institution.province, local_date(now, institution.time_zone))


@lru_cache(maxsize=4096)
def _bound(institution_id: str, province: str | None, today: date) -> RuleSet:
    """Once a day for each institution: an admission asks for it several times. `adopt` forgets it."""
    return layered(in_force(today), adopted(), province, today, institution_id)
