"""The base of what a page may say, and the small types every message uses."""

import unicodedata
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints


def plain_text(text: str) -> str:
    """Raises ValueError for control characters."""
    if any(unicodedata.category(c) == "Cc" and c not in "\n\t\r" for c in text):
        raise ValueError("control characters")
    return text


def said_text(text: str) -> str:
    """As `plain_text`, and not empty."""
    if not text.strip():
        raise ValueError("empty")
    return plain_text(text)


OpId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
SeatId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Mutation(Message):
    """Changes something: carries the client's operation id, so that a resend changes nothing twice."""

    op: OpId
