"""Bodies and answers of the archive, of disposal and of the audit trail."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from archive.records import AccessState, DisposalState
from clinic.people import Role
from huizhen.api.shapes.base import Answer, Body, Id, Label, Moment, Query, QueryDate, Reason

Because = Annotated[Reason, StringConstraints(min_length=10)]


class ArchiveQuery(Query):
    q: Annotated[str, Field(max_length=100)] = ""
    from_: Annotated[QueryDate | None, Field(alias="from")] = None
    to: QueryDate | None = None
    state: Annotated[str, Field(pattern=r"^[a-z]{0,20}$")] = ""


class RetainedView(Answer):
    record_id: str | None = None
    state: str
    due_on: str | None
    policy_version: str
    held: bool


class RecordingRow(Answer):
    recording_id: str
    consult_id: str
    kind: str
    department: str
    department_label: Label
    doctor: str
    patient_masked: str
    started_at: Moment | None
    duration_ms: int
    state: str
    retained: RetainedView | None
    people: int
    segments: int
    access: str  # none | requested | granted | refused
    access_expires_at: Moment | None = None


class AccessView(Answer):
    id: str
    recording_id: str
    consult_id: str
    requester: str
    reason: str
    state: AccessState
    requested_at: Moment
    decided_by: str | None = None
    decided_at: Moment | None = None
    decision_reason: str | None = None
    expires_at: Moment | None = None


class HoldView(Answer):
    id: str
    consult_id: str
    reason: str
    placed_by: str
    placed_at: Moment
    lifted_by: str | None = None
    lifted_at: Moment | None = None


class DisposalView(Answer):
    id: str
    state: DisposalState
    record_ids: list[str]
    records: list[dict[str, Any]]
    list_sha256: str
    reason: str
    proposed_by: str
    proposed_at: Moment
    approvals: list[dict[str, str]]
    approvals_needed: int
    refused_by: str | None = None
    done_at: Moment | None = None


class RecordingEntry(RecordingRow):
    access_requests: list[AccessView]
    holds: list[HoldView]
    disposal: DisposalView | None = None


class AskAccess(Body):
    reason: Because


class DecideAccess(Body):
    grant: bool
    minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 60
    reason: Reason


class View(Body):
    pass


class ManifestPerson(Answer):
    seat: str
    role: Role
    display_name: str


class ManifestSegment(Answer):
    id: str
    number: int
    start_ms: int
    duration_ms: int
    mime: str
    size: int
    url: str


class ManifestTrack(Answer):
    seat: str
    track: str
    segments: list[ManifestSegment]


class ManifestGap(Answer):
    seat: str | None = None
    cause: str
    start_ms: int
    end_ms: int | None


class ManifestMark(Answer):
    t_ms: int
    code: str
    seat: str | None = None
    text_code: str
    params: dict[str, Any]


class ManifestChat(Answer):
    t_ms: int
    seat: str
    text: str


class ViewedBy(Answer):
    when: Moment
    who: str


class Destroyed(Answer):
    when: Moment
    by: list[str]
    certificate_id: str


class ManifestAnswer(Answer):
    view_id: str | None
    recording_id: str
    started_at: Moment | None
    duration_ms: int
    people: list[ManifestPerson]
    tracks: list[ManifestTrack]
    gaps: list[ManifestGap]
    timeline: list[ManifestMark]
    chat: list[ManifestChat]
    viewed_by: list[ViewedBy]
    destroyed: Destroyed | None = None


class SegmentQuery(Query):
    view: Id


class DueQuery(Query):
    at: QueryDate | None = None


class DueRow(Answer):
    record_id: str
    record_class: str
    consult_id: str
    due_on: str
    why: list[str]
    citations: list[str]
    blocked_by: list[str]
    state: str


class PlaceHold(Body):
    consult_id: Id
    reason: Reason


class BecauseBody(Body):
    reason: Reason


class Propose(Body):
    record_ids: Annotated[list[Id], Field(min_length=1, max_length=500)]
    reason: Reason


class Approve(Body):
    list_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Certificate(Answer):
    certificate: dict[str, Any]
    seal: str


class AuditQuery(Query):
    consult_id: Id | None = None
    after: Annotated[int, Field(ge=-1, le=2**53)] = -1
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class AuditRow(Answer):
    seq: int
    id: str
    t: Moment
    code: str
    consult_id: str | None
    actor: str
    who: str
    subject: str | None
    outcome: str
    public: dict[str, Any]
    private: dict[str, Any] | None = None


class CheckpointAnswer(Answer):
    note: str


class FindingView(Answer):
    code: str
    where: str
    what: str


class VerifyAnswer(Answer):
    ok: bool
    findings: list[FindingView]
    counts: dict[str, int]
