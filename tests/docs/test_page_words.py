"""Codes of the server that pages turn into words: each has its words, in both languages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from audit.events import EventCode
from clinic.booking import CANCEL_CODES
from clinic.rulebook import shipped
from clinic.visit import REMOVAL_CODES

ROOT = Path(__file__).resolve().parents[2]
TERMINATION_CODES = tuple(shipped()[-1].rules["CN-09"].codes)
PARTS = ROOT / "web" / "src" / "console"


def words(locale: str, name: str) -> Any:
    return json.loads((ROOT / "web" / "src" / "locales" / locale / f"{name}.json").read_text())


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_codes_have_words(locale: str) -> None:
    events = words(locale, "events")
    for code in EventCode:
        at: Any = events
        for part in code.value.split("."):
            at = at[part]
        assert isinstance(at, str) and at, code
    consult = words(locale, "consult")
    assert set(consult["unsuitable"]) == set(TERMINATION_CODES)
    assert set(consult["removal"]) == set(REMOVAL_CODES)
    assert set(consult["cancelled"]) == set(CANCEL_CODES)


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_every_need_the_server_names_has_words(locale: str) -> None:
    source = (ROOT / "huizhen" / "api" / "detail.py").read_text()
    named = set(re.findall(r'todo\.append\("(\w+)"\)', source))
    assert "opinions_due" in named
    assert named <= set(words(locale, "console")["need"])


@pytest.mark.parametrize(
    ("page", "name", "codes"),
    [
        ("parts/RoomStage.vue", "UNSUITABLE", TERMINATION_CODES),
        ("parts/PeoplePanel.vue", "REMOVALS", REMOVAL_CODES),
        ("pages/ConsultPage.vue", "CANCELLATIONS", CANCEL_CODES),
    ],
)
def test_pages_offer_exactly_the_reasons_the_server_takes(page: str, name: str, codes: tuple[str, ...]) -> None:
    listed = re.search(rf"const {name} = \[([^\]]*)\]", (PARTS / page).read_text())
    assert listed is not None
    assert re.findall(r'"(\w+)"', listed.group(1)) == list(codes)
