"""Plain words for every code a person can meet, in Chinese and English, with the way out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LOCALES = ("zh", "en")
UNKNOWN = "clinic.error"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`text` says what happened, `way_out` what to do (may be empty)."""

    code: str
    text: str
    way_out: str


@cache
def all_messages(locale: str) -> Mapping[str, Mapping[str, str]]:
    """Code to {"text", "way_out"}: what the web client loads. Unknown locales get Chinese."""
    name = f"reasons.{locale if locale in LOCALES else LOCALES[0]}.json"
    loaded: dict[str, dict[str, str]] = json.loads(files("clinic.rules").joinpath(name).read_text("utf-8"))
    return loaded


def explain(code: str, locale: str = "zh") -> Explanation:
    """The words for a code; a general sentence when it has none."""
    messages = all_messages(locale)
    words = messages.get(code, messages[UNKNOWN])
    return Explanation(code, words["text"], words["way_out"])
