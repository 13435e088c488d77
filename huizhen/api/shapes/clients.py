"""Hospital systems that read by FHIR."""

from typing import Annotated

from pydantic import Field

from huizhen.api.shapes.base import Answer, Body, Id, Moment, Name
from huizhen.auth.clients import LONGEST_DAYS

Days = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]


class NewClientBody(Body):
    name: Name
    days: Days  # the token counts


class TokenBody(Body):
    days: Days


class ScopeBody(Body):
    patient_ids: Annotated[list[Id], Field(min_length=1, max_length=200)]
    open: bool


class ClientRow(Answer):
    id: str
    name: str
    created_at: Moment
    ended_at: Moment | None
    patients: int  # whose records it may read


class ClientIssued(ClientRow):
    token: str  # told once


class ClientPatients(Answer):
    patient_ids: list[str]
