"""Checks of single fields; every refusal names its field (InvalidInput)."""

from collections.abc import Collection, Iterable
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clinic.errors import InvalidInput

NAME = 100
LINE = 200
TEXT = 4000


def text(field: str, value: str, maximum: int = LINE, minimum: int = 1) -> str:
    """The value without surrounding blanks; `minimum`..`maximum` characters, no control characters but new lines."""
    cleaned = value.strip()
    if len(cleaned) < minimum:
        raise InvalidInput(field, "missing" if not cleaned else "too short")
    if len(cleaned) > maximum:
        raise InvalidInput(field, "too long")
    if any((ord(character) < 32 and character not in "\n\t") or ord(character) == 127 for character in cleaned):
        raise InvalidInput(field, "control character")
    return cleaned


def one_of(field: str, value: str, allowed: Iterable[str]) -> str:
    if value not in tuple(allowed):
        raise InvalidInput(field, "not one of the allowed values")
    return value


def iso_date(field: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise InvalidInput(field, "not a date") from error


def time_zone(field: str, value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(field, "not an IANA time zone") from error
    return value


def not_empty(field: str, values: Collection[str]) -> None:
    if not values or any(not value.strip() for value in values):
        raise InvalidInput(field, "missing")
