"""The role table held against what asks it: a row without a door is an omission, unless it says where it is asked."""

import re
from pathlib import Path

from clinic.roles import ASKED_WITHIN, Action
from huizhen.api.table import ROUTES
from signaling.handlers import HANDLERS

ROOT = Path(__file__).resolve().parents[2]
DOORS = {action for route in ROUTES for action in route.policy.actions} | {each.action for each in HANDLERS.values()}


def test_every_row_has_a_route_or_an_event_or_says_why_not() -> None:
    assert set(Action) - DOORS == set(ASKED_WITHIN)
    assert all(reason.strip() for reason in ASKED_WITHIN.values())


def test_rows_asked_within_are_really_asked() -> None:
    """Each stands in the code of a use case, not only in the table."""
    used: set[str] = set()
    for package in ("clinic", "consent", "imaging", "recording", "archive", "signaling", "huizhen"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "roles.py":
                used |= set(re.findall(r"\bAction\.([A-Z_]+)\b", path.read_text(encoding="utf-8")))
    assert {action for action in ASKED_WITHIN if action.name not in used} == set()
