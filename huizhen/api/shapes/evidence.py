"""Answers about uploaded papers."""

from typing import Literal

from huizhen.api.shapes.base import Answer, Moment


class EvidenceFileView(Answer):
    id: str
    evidence: str | None = None  # the proof it was entered as; null: nobody has read it yet
    kind: Literal["jpeg", "png", "pdf"]
    pages: int
    width: int
    height: int
    size: int
    sha256: str
    added_at: Moment
    added_by: str
    url: str


class EvidenceFiles(Answer):
    items: list[EvidenceFileView]
    limit_mb: int
    most: int
    open: bool  # more may be added
    proofs: int  # entered, with or without a paper
