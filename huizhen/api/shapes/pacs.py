"""Bodies and answers about the hospital's own archive of images."""

from typing import Annotated

from pydantic import Field, StringConstraints

from huizhen.api.shapes.base import Answer, Body, GivenDate, Moment

# No wildcards: a number names one patient.
Number = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$")]
Uid = Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$")]


class SearchBody(Body):
    patient_number: Number
    accession: Number | Annotated[str, StringConstraints(max_length=0)] = ""
    since: GivenDate | None = None
    until: GivenDate | None = None


class FoundView(Answer):
    uid: str
    day: str
    description: str
    modalities: list[str]
    instances: int
    allowed: str | None  # id of the allow-list's line


class PacsFound(Answer):
    items: list[FoundView]
    others: int  # left out: the names are not the patient's


class AllowBody(Body):
    uid: Uid


class PacsRow(Answer):
    id: str
    uid: str
    day: str
    description: str
    modalities: list[str]
    instances: int
    here: int  # files of it that are in the case
    allowed_at: Moment


class FetchBody(Body):
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0


class Fetched(Answer):
    added: int
    known: int
    refused: list[str]  # codes
    next: int  # where the next batch begins; -1: all are through
    total: int
