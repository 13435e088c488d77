"""Rule sets as versioned data: each rule has its wording, its citation and its values; no constants in code.

A set also says of each kind of consult which gates it passes, who leads it, what closes it and what its papers may say.
Provinces and dated notices lie over it: `clinic.overlays.rules_for` gives what binds an institution at a moment.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from clinic.consult import ConsultKind
from clinic.errors import ClinicError
from clinic.people import Role

NEEDED: Mapping[str, tuple[str, ...]] = {
    "CN-01": (),
    "CN-02": (),
    "CN-03": ("minimum_years",),
    "CN-04": ("step_up_minutes", "one_session"),
    "CN-05": (),
    "CN-06": ("minimum_identity_level", "panel_identity_level"),
    "CN-07": ("window_days", "attestation"),
    "CN-08": (),
    "CN-09": (),
    "CN-10": ("under_age", "proof"),
    "CN-11": ("every_note",),
    "CN-12": (),
    "CN-13": ("title",),
    "CN-14": ("process_years", "record_years"),
    "TM-01": (),
    "TM-02": ("minimum_years",),
    "HZ-01": ("early_minutes", "late_minutes", "idle_minutes", "longest_hours"),
    "HZ-02": ("required",),
    "HZ-03": ("required", "longest_shift_hours"),
    "HZ-04": ("on_camera",),
}
GATES = frozenset(NEEDED) - {"CN-09", "CN-11", "CN-14"}  # those bind papers and keeping, not the door
# Rules that are no gate: who may look and for how long, destruction, and the waiting room.
BESIDE: Mapping[str, tuple[str, ...]] = {
    "AC-01": ("open_minutes", "shortest_reason"),
    "AC-02": ("adult_years",),
    "AC-03": ("minimum_reason", "default_hours", "maximum_hours", "expert_days"),
    "AC-04": ("longest_days", "shortest_reason"),
    "AR-01": ("step_up_minutes", "clock_jump_hours", "key_backup_days", "largest_batch"),
    "HZ-10": ("shortest_minutes", "longest_minutes", "most_places", "furthest_days"),
    "HZ-11": ("first_minutes", "second_minutes", "third_minutes"),
    "HZ-12": ("late_grace_minutes", "urgent_advance_minutes", "keep_minutes", "near_ahead"),
    "HZ-13": ("least_samples", "most_samples", "sample_days", "low_percent", "high_percent", "late_shown_minutes"),
    "HZ-14": ("patient_minutes", "doctor_minutes", "waited_minutes"),
    "HZ-15": ("attempts", "first_pause_seconds", "longest_pause_seconds"),
    "HZ-16": (
        "temperature_high", "temperature_low", "pulse_high", "pulse_low", "breaths_high", "breaths_low",
        "systolic_high", "systolic_low", "oxygen_low", "glucose_high", "glucose_low",
    ),
    "HZ-17": (
        "late_joiner_wait", "late_joiner_pause", "guest_refuses_unrecorded", "guest_refuses_keep_out",
        "exam_views_never", "exam_views_by_consent", "privacy_resume_asker", "privacy_resume_doctor",
        "other_withdraws_stop", "other_withdraws_privacy_interval", "recording_basis_consent",
        "recording_basis_legal_duty",
    ),
    "HZ-19": (),
    "HZ-18": ("walk_in_minutes",),
    "HZ-25": ("opinion_hours", "first_reminder_hours", "second_reminder_hours"),
    "HZ-26": ("experts", "chair"),
    "HZ-27": ("required",),
    "HZ-28": ("longest_days", "remind_from_hour"),
    "HZ-20": ("routine_hours", "urgent_minutes"),
    "HZ-21": ("routine_minutes", "urgent_minutes"),
    "HZ-22": ("before_minutes",),
    "HZ-23": ("most_institutions", "most_experts"),
    "HZ-24": ("board_days",),
    "HZ-35": ("longest_years", "ending_soon_days"),
    "HZ-36": ("most_shown",),
    "HZ-30": ("least_experts", "chair", "inviting_doctor"),
    "HZ-31": ("grace_seconds",),
    "HZ-32": ("lost_seconds", "first_in_order", "inviting_doctor"),
    "HZ-33": ("experts_wait",),
    "HZ-34": ("allowed", "inviting_doctor"),
    "HZ-45": ("opinion_hours", "expert_consult", "remote_diagnosis"),
}  # fmt: skip
CLOSING = ("note", "opinion", "report", "decision")
MAY = ("diagnose", "prescribe")
STRICTER = ("more", "less", "fixed")


class RulesInvalid(ClinicError):
    """A rule file is incomplete or contradicts itself; `detail` says where. The server does not start with it."""

    code = "rules.invalid"


@dataclass(frozen=True, slots=True)
class Words:
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`stricter`: which way a province or an institution may change a value ("more", "less", "fixed": not at all);
    values not named are free."""

    id: str
    text: str
    text_en: str
    citation: str
    citation_en: str
    values: Mapping[str, int]
    stricter: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Words] = field(default_factory=dict)  # coded reasons the rule knows (CN-09)


@dataclass(frozen=True, slots=True)
class KindRules:
    """What a kind of consult asks for: rule ids of its gates in order, the leading role, the papers that close it."""

    leading: Role
    gates: tuple[str, ...]
    closing: tuple[str, ...]
    may: frozenset[str]
    panel: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """One overlay as it lies over the set: what it is called and what it rests on."""

    version: str
    kind: str  # "province" | "emergency"
    title: Words
    citation: Words


@dataclass(frozen=True, slots=True)
class RuleSet:
    id: str
    version: str  # with overlays: all of them, joined by "+"
    jurisdiction: str
    effective_from: date
    effective_to: date | None  # the last day it is in force; None = until replaced
    rules: Mapping[str, Rule]
    kinds: Mapping[ConsultKind, KindRules]
    changed: Mapping[tuple[str, str], Layer] = field(default_factory=dict)  # (rule, value) -> where it came from
    relaxed: Mapping[str, Layer] = field(default_factory=dict)  # gates a dated notice suspends (CN-08 d)

    def value(self, rule_id: str, name: str) -> int:
        return self.rules[rule_id].values[name]

    def minutes(self, rule_id: str, name: str) -> timedelta:
        """A value that is a length of time."""
        return timedelta(minutes=self.value(rule_id, name))

    def hours(self, rule_id: str, name: str) -> timedelta:
        return timedelta(hours=self.value(rule_id, name))

    def days(self, rule_id: str, name: str) -> timedelta:
        return timedelta(days=self.value(rule_id, name))

    def in_force(self, on: date) -> bool:
        return self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)

    def layer(self, rule_id: str, name: str) -> str:
        """The version of the layer a value came from."""
        known = self.changed.get((rule_id, name))
        return known.version if known is not None else self.version.partition("+")[0]


def load(source: str) -> RuleSet:
    """Parse one rule file. Raises RulesInvalid naming the place."""
    try:
        data = json.loads(source)
        loaded = RuleSet(
            id=_text(data, "id"),
            version=_text(data, "version"),
            jurisdiction=_text(data, "jurisdiction"),
            effective_from=date.fromisoformat(data["effective_from"]),
            effective_to=date.fromisoformat(data["effective_to"]) if data["effective_to"] else None,
            rules={rule_id: _rule(rule_id, body) for rule_id, body in data["rules"].items()},
            kinds={ConsultKind(name): _kind(name, body) for name, body in data["kinds"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RulesInvalid(f"{type(error).__name__}: {error}") from error
    _check(loaded)
    return loaded


def _check(loaded: RuleSet) -> None:
    for rule_id, names in {**NEEDED, **BESIDE}.items():
        if rule_id not in loaded.rules:
            raise RulesInvalid(f"{rule_id} missing")
        if missing := [name for name in names if name not in loaded.rules[rule_id].values]:
            raise RulesInvalid(f"{rule_id}: {', '.join(missing)} missing")
    if not loaded.rules["CN-09"].codes:
        raise RulesInvalid("CN-09: no reasons to end a visit")
    if "other" not in loaded.rules["HZ-19"].codes:
        raise RulesInvalid('HZ-19: no "other" among the reasons')
    if missing := [kind.value for kind in ConsultKind if kind not in loaded.kinds]:
        raise RulesInvalid(f"kinds: {', '.join(missing)} missing")
    if loaded.effective_to is not None and loaded.effective_to < loaded.effective_from:
        raise RulesInvalid("effective_to before effective_from")


def _rule(rule_id: str, body: Mapping[str, Any]) -> Rule:
    values, stricter = body["values"], body.get("stricter", {})
    if not whole(values):
        raise RulesInvalid(f"{rule_id}: values are whole numbers, not negative")
    if not set(stricter) <= set(values) or not set(stricter.values()) <= set(STRICTER):
        raise RulesInvalid(f"{rule_id}: stricter names a value and says more or less")
    return Rule(
        rule_id,
        _text(body["text"], "zh"),
        _text(body["text"], "en"),
        _text(body["citation"], "zh"),
        _text(body["citation"], "en"),
        dict(values),
        dict(stricter),
        {code: words(each) for code, each in body.get("codes", {}).items()},
    )


def _kind(name: str, body: Mapping[str, Any]) -> KindRules:
    found = KindRules(
        Role(body["leading"]), tuple(body["gates"]), tuple(body["closing"]), frozenset(body["may"]), body["panel"]
    )
    if found.leading not in (Role.ATTENDING, Role.INVITING):
        raise RulesInvalid(f"kind {name}: no doctor leads it")
    if not found.gates or not GATES.issuperset(found.gates) or len(set(found.gates)) != len(found.gates):
        raise RulesInvalid(f"kind {name}: gates missing, unknown or twice")
    if not found.closing or not set(found.closing) <= set(CLOSING) or not found.may <= set(MAY):
        raise RulesInvalid(f"kind {name}: unknown papers")
    if not isinstance(found.panel, bool):
        raise RulesInvalid(f"kind {name}: panel is true or false")
    return found


def whole(values: Mapping[str, Any]) -> bool:
    """Whether every value is a whole number, not negative."""
    return all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values.values())


def words(body: Mapping[str, Any]) -> Words:
    return Words(_text(body, "zh"), _text(body, "en"))


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not value.strip():
        raise RulesInvalid(f"{name} is empty")
    return value


def choose(rule_sets: Sequence[RuleSet], on: date) -> RuleSet:
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
    """The shipped national rule set in force on a day, without any overlay."""
    return choose(shipped(), on)
