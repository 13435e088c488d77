"""Bodies and answers of the image table."""

from typing import Annotated, Any, Literal

from pydantic import Field

from huizhen.api.shapes.base import Answer, Body, Moment, Query


class SeriesView(Answer):
    uid: str
    modality: str
    number: int
    description: str
    instances: int
    frames: int
    kinds: list[Literal["image", "slide", "waveform", "paper", "photo"]]
    url: str  # its metadata: opening it is on record


class StudyView(Answer):
    id: str
    uid: str
    day: str
    description: str
    identity: Literal["matches", "differs", "absent", "confirmed"]
    differs: list[Literal["name", "id", "birth_date", "sex"]]
    added_at: Moment
    added_by: str
    series: list[SeriesView]


class Images(Answer):
    studies: list[StudyView]
    open: bool  # more may be added
    limit_mb: int


class StudyIdentity(Answer):
    id: str
    identity: Literal["matches", "differs", "absent", "confirmed"]
    confirmed_at: Moment | None


class FindingsBody(Body):
    """What `imaging.measuring` checks: measurements as JSON."""

    version: Annotated[int, Field(ge=0, le=2**53 - 1)]
    measurements: Annotated[list[dict[str, Any]], Field(max_length=500)]


class FindingsView(Answer):
    """As last saved; `id` is None and nothing is listed while nobody saved any."""

    id: str | None = None
    version: int = 0
    sha256: str = ""
    saved_at: Moment | None = None
    saved_by: str = ""
    measurements: list[dict[str, Any]]


class ReportSent(Answer):
    """`left`: measurements of this study that stay in JSON only (ECG, photos, papers)."""

    uid: str
    measurements: int
    left: int


class PageQuery(Query):
    """Part of a series: the first ones first. Named as in QIDO-RS."""

    offset: Annotated[int, Field(ge=0, le=100_000)] = 0
    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
