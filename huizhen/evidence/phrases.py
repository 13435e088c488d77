"""Words and small parts every paper is made of. Pure."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

Rows = list[tuple[str, str]]


@cache
def words(locale: str) -> Mapping[str, Any]:
    text = files("huizhen.words").joinpath(f"paper.{locale}.json").read_text("utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def label(known: Mapping[str, str], code: str) -> str:
    return known.get(code, code)


def spaced(digest: str) -> str:
    """In groups of eight, so that people can compare and lines can break."""
    return " ".join(digest[at : at + 8] for at in range(0, len(digest), 8))


def local(moment: datetime, zone: ZoneInfo) -> str:
    there = moment.astimezone(zone)
    offset = there.strftime("%z")
    return f"{there:%Y-%m-%d %H:%M:%S} (UTC{offset[:3]}:{offset[3:]}, {zone.key})"
