"""What all bodies and answers share: strict, bounded, nothing unknown."""

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

T = TypeVar("T")

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)


def _plain(text: str) -> str:
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t\r" for c in text):
        raise ValueError("control characters")
    return text.strip()


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sane(moment: datetime) -> datetime:
    if not 1900 <= moment.year <= 9000:  # beyond it, time zone arithmetic overflows
        raise ValueError("out of range")
    return moment.astimezone(UTC)


def _iso_text(value: object) -> object:
    if not isinstance(value, str) or not _ISO_DATE.match(value):
        raise ValueError("not a date")  # pydantic would take a number for seconds since 1970
    return value


def _sane_date(day: date) -> date:
    if not 1900 <= day.year <= 9000:
        raise ValueError("out of range")
    return day


Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
OperationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}$")]
Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_plain)]
Short = Annotated[str, StringConstraints(max_length=40), AfterValidator(_plain)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_plain)]
Text = Annotated[str, StringConstraints(max_length=8_000), AfterValidator(_plain)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_plain)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=256)]
LocaleName = Annotated[str, StringConstraints(pattern=r"^(zh|en)$")]
Moment = Annotated[datetime, PlainSerializer(_utc, return_type=str)]
GivenMoment = Annotated[AwareDatetime, AfterValidator(_sane)]
GivenDate = Annotated[date, AfterValidator(_sane_date)]
QueryDate = Annotated[date, BeforeValidator(_iso_text), AfterValidator(_sane_date)]
Natural = Annotated[int, Field(ge=0, le=2**53 - 1)]


class Answer(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class Body(BaseModel):
    """Base of every request body: strict types, no unknown members. `op` makes a resend harmless."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    op: OperationId


class LooseBody(BaseModel):
    """A body that changes nothing a resend could change twice (login, logout, redeeming): `op` may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    op: OperationId | None = None


class Empty(Body):
    """Nothing but the operation id."""


class NoBody(LooseBody):
    """GET requests."""


class Query(BaseModel):
    """Base of query strings: everything arrives as text, so types are read leniently, names strictly."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    pass


class LocaleQuery(Query):
    locale: LocaleName = "zh"


class Items(Answer, Generic[T]):
    items: list[T]


class Label(Answer):
    zh: str
    en: str


class Accepted(Answer):
    ok: bool = True


class Stream(Answer):
    """Marks a route that answers bytes, not JSON."""


JsonObject = dict[str, Any]
