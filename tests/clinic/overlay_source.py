"""The text of an overlay file, with changes."""

import json
from typing import Any


def overlay(**changes: Any) -> str:
    """A province's, for code 98, from 2026 on; every member can be replaced."""
    data: dict[str, Any] = {
        "id": "cn-98",
        "version": "cn-98.1",
        "layer": "province",
        "base": "cn",
        "province": "98",
        "effective_from": "2026-01-01",
        "effective_to": None,
        "title": {"zh": "某省", "en": "A province"},
        "citation": {"zh": "某省规定", "en": "A provincial rule"},
        "rules": {"CN-07": {"window_days": 60}},
        "relaxes": [],
    }
    return json.dumps({**data, **changes}, ensure_ascii=False)
