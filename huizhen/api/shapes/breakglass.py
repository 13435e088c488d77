"""Bodies and answers about emergency access."""

from typing import Annotated

from pydantic import Field

from clinic.glass import Finding, GlassState
from huizhen.api.shapes.base import Answer, Body, Moment, Reason


class BreakGlass(Body):
    reason: Reason


class DecideGlass(Body):
    permit: bool


class ReviewGlass(Body):
    justified: bool
    note: Annotated[str, Field(max_length=500)] = ""


class GlassView(Answer):
    id: str
    consult_id: str
    who: str
    reason: str
    state: GlassState
    asked_at: Moment
    expires_at: Moment | None = None
    decided_by: str | None = None
    reviewed_by: str | None = None
    finding: Finding | None = None
    note: str = ""
