"""Plain words for every code: those of the domain (clinic.reasons) and those of the server's own doors."""

import json
from functools import lru_cache
from importlib.resources import files

from clinic import reasons as domain

LOCALES = ("zh", "en")
_PARTS = ("reasons", "uploads", "images", "panelroom", "sources")  # files of huizhen.words


@lru_cache(maxsize=len(LOCALES))
def words(locale: str) -> dict[str, str]:
    """{code: plain words} for "zh" or "en"."""
    known = {code: str(message["text"]) for code, message in domain.all_messages(locale).items()}
    own: dict[str, str] = {}
    for name in _PARTS:
        own |= json.loads(files("huizhen.words").joinpath(f"{name}.{locale}.json").read_text(encoding="utf-8"))
    return dict(sorted((own | known).items()))
