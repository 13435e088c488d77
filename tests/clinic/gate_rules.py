"""A follow-up that meets every gate, and rules with an overlay: for the tests of the gates."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from clinic.admission import AdmissionFacts, Stage, judge
from clinic.overlays import layered, load_overlay
from clinic.rulebook import RuleSet, in_force
from tests.clinic.overlay_source import overlay
from tests.support.clock import START

TODAY = date(2026, 3, 2)
RULES = in_force(TODAY)
DAY = timedelta(days=1)


def strict(**values: dict[str, int]) -> RuleSet:
    """The national rules under a provincial overlay with these values: `strict(CN_07={"window_days": 10})`."""
    rules = {name.replace("_", "-"): each for name, each in values.items()}
    return layered(RULES, [load_overlay(overlay(rules=rules))], "98", TODAY)


def relaxed(*gates: str) -> RuleSet:
    source = overlay(layer="emergency", province=None, effective_to="2026-12-31", rules={}, relaxes=list(gates))
    return layered(RULES, [load_overlay(source)], None, TODAY)


def codes(facts: AdmissionFacts, rules: RuleSet = RULES, stage: Stage = Stage.RECEPTION, now: datetime = START) -> Any:
    return judge(facts, rules, now, stage).codes


def of(facts: AdmissionFacts, who: str, **values: Any) -> AdmissionFacts:
    return replace(facts, **{who: replace(getattr(facts, who), **values)})
