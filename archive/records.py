"""Rows of the archive: what is kept, who may see it, what stops erasure, how it was erased."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from archive.errors import IllegalMove


class RetainedState(StrEnum):
    ACTIVE = "active"
    RESTRICTED = "restricted"  # consent withdrawn before the legal floor: store only, no ordinary playback
    PROPOSED = "proposed"
    PURGING = "purging"  # intent committed: forward only
    DISPOSED = "disposed"


MOVES: dict[RetainedState, frozenset[RetainedState]] = {
    RetainedState.ACTIVE: frozenset({RetainedState.RESTRICTED, RetainedState.PROPOSED}),
    RetainedState.RESTRICTED: frozenset({RetainedState.PROPOSED}),
    RetainedState.PROPOSED: frozenset({RetainedState.ACTIVE, RetainedState.RESTRICTED, RetainedState.PURGING}),
    RetainedState.PURGING: frozenset({RetainedState.DISPOSED}),
    RetainedState.DISPOSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class RetainedRecord:
    """One thing with a clock: a recording, a visit record, a chat log, a consent bundle."""

    id: str
    institution_id: str
    consult_id: str
    patient_id: str
    record_class: str  # "process.av", "process.text", "emr.outpatient", "consent", "panel.copy"
    subject_id: str  # recording id, copy id, or the consult id
    policy_version: str  # of the policy stamped; re-evaluated, never shortened silently
    trigger_at: datetime  # consult closed, last visit...
    state: RetainedState
    created_at: datetime
    restricted: bool = False  # returns to RESTRICTED, not ACTIVE, when a proposal falls
    disposal_id: str | None = None
    disposed_at: datetime | None = None

    def move(self, to: RetainedState, now: datetime) -> "RetainedRecord":
        if to not in MOVES[self.state]:
            raise IllegalMove(f"{self.state}->{to}")
        return replace(
            self,
            state=to,
            restricted=self.restricted or to is RetainedState.RESTRICTED,
            disposed_at=now if to is RetainedState.DISPOSED else self.disposed_at,
        )


class AccessState(StrEnum):
    REQUESTED = "requested"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class AccessGrant:
    """A time-boxed right to see one consult's recording, asked with a reason, given by another person."""

    id: str
    institution_id: str
    consult_id: str
    recording_id: str
    requester_id: str
    reason: str
    state: AccessState
    requested_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LegalHold:
    id: str
    institution_id: str
    consult_id: str
    reason: str
    placed_by: str
    placed_at: datetime
    lifted_by: str | None = None
    lifted_at: datetime | None = None


class HoldAskState(StrEnum):
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """A party asks for a hold; the archivist grants (then `hold_id` is the hold) or refuses with a reason."""

    id: str
    institution_id: str
    consult_id: str
    asked_by: str  # staff or seat id
    asked_as: str  # the role they asked in
    reason: str
    state: HoldAskState
    asked_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    hold_id: str | None = None


class DisposalState(StrEnum):
    PROPOSED = "proposed"
    PURGING = "purging"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Disposal:
    """The two-person act and its certificate."""

    id: str
    institution_id: str
    record_ids: tuple[str, ...]
    list_sha256: str  # over the ordered records and their policy versions: a changed list voids approvals
    reason: str
    proposed_by: str
    proposed_at: datetime
    state: DisposalState
    approvals: tuple[tuple[str, str], ...] = ()  # (staff id, ISO time)
    refused_by: str | None = None
    tombstones: tuple[tuple[str, str], ...] = ()  # (key id, sha256 of the wrapped key)
    certificate: str | None = None  # canonical JSON
    certificate_seal: str | None = None  # JWS
    done_at: datetime | None = None
