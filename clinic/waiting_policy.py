"""The values of booking, waiting, messages and triage as data (HZ-10 to HZ-16); no constants in code."""

from datetime import timedelta
from functools import cache
from importlib.resources import files
from json import loads

from clinic.rulebook import Rule, RulesInvalid

NEEDED = {
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
}  # fmt: skip


class WaitingPolicy:
    """One version of the house rules; `version` goes into every event that rests on it."""

    def __init__(self, version: str, rules: dict[str, Rule]) -> None:
        self.version = version
        self.rules = rules

    def value(self, rule_id: str, name: str) -> int:
        return self.rules[rule_id].values[name]

    def minutes(self, rule_id: str, name: str) -> timedelta:
        """A value that is a length of time."""
        return timedelta(minutes=self.value(rule_id, name))


def load(source: str) -> WaitingPolicy:
    """Parse a policy file. Raises RulesInvalid naming the place."""
    try:
        data = loads(source)
        rules = {
            rule_id: Rule(
                rule_id,
                body["text"]["zh"],
                body["text"]["en"],
                body["citation"]["zh"],
                body["citation"]["en"],
                {name: int(value) for name, value in body["values"].items()},
            )
            for rule_id, body in data["rules"].items()
        }
        version = str(data["version"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RulesInvalid(f"{type(error).__name__}: {error}") from error
    for rule_id, names in NEEDED.items():
        values = rules[rule_id].values if rule_id in rules else {}
        if missing := [name for name in names if values.get(name, -1) < 0]:
            raise RulesInvalid(f"{rule_id}: {', '.join(missing)} missing or negative")
    return WaitingPolicy(version, rules)


@cache
def current() -> WaitingPolicy:
    """The policy shipped with this version."""
    return load(files("clinic.policies").joinpath("waiting-2026.json").read_text("utf-8"))
