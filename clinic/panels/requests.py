"""A request between institutions before the call, as rows: the request, each invited house, each proposal (rules 1.3).

One transition table; `docs/panels.md` prints it. A draft may be changed; of what was sent only its state moves on.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from clinic.errors import IllegalMove


class RequestState(StrEnum):
    DRAFT = "draft"
    SENT = "sent"
    TRIAGED = "triaged"  # a coordinator has assigned experts; they have not all answered
    CONVENED = "convened"  # as many institutions as were wanted take part
    DECLINED = "declined"  # nobody takes part
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"  # nobody had accepted when the time to answer was over


REQUEST_MOVES: dict[RequestState, frozenset[RequestState]] = {
    RequestState.DRAFT: frozenset({RequestState.SENT, RequestState.WITHDRAWN}),
    RequestState.SENT: frozenset(
        {
            RequestState.TRIAGED, RequestState.CONVENED, RequestState.DECLINED, RequestState.WITHDRAWN,
            RequestState.EXPIRED,
        }
    ),
    RequestState.TRIAGED: frozenset(
        {RequestState.CONVENED, RequestState.DECLINED, RequestState.WITHDRAWN, RequestState.EXPIRED}
    ),
    RequestState.CONVENED: frozenset({RequestState.WITHDRAWN}),
    RequestState.DECLINED: frozenset(),
    RequestState.WITHDRAWN: frozenset(),
    RequestState.EXPIRED: frozenset(),
}  # fmt: skip
WAITING = frozenset({RequestState.SENT, RequestState.TRIAGED})  # for answers


class Mode(StrEnum):
    DIRECT = "direct"  # the inviting doctor names the institutions
    MATCHED = "matched"  # a coordinator of the inviting house picks them


class Urgency(StrEnum):
    ROUTINE = "routine"
    URGENT = "urgent"  # several are asked, the first to accept are taken


class PartyState(StrEnum):
    NAMED = "named"  # in the draft; nobody has been asked
    ASKED = "asked"
    PROPOSED = "proposed"  # waits for the inviting side's word on another time
    ACCEPTED = "accepted"
    REFUSED = "refused"
    RELEASED = "released"  # others were quicker, or the request was withdrawn
    EXPIRED = "expired"


PARTY_MOVES: dict[PartyState, frozenset[PartyState]] = {
    PartyState.NAMED: frozenset({PartyState.ASKED, PartyState.RELEASED}),
    PartyState.ASKED: frozenset(
        {PartyState.PROPOSED, PartyState.ACCEPTED, PartyState.REFUSED, PartyState.RELEASED, PartyState.EXPIRED}
    ),
    PartyState.PROPOSED: frozenset(
        {PartyState.ASKED, PartyState.ACCEPTED, PartyState.REFUSED, PartyState.RELEASED, PartyState.EXPIRED}
    ),
    PartyState.ACCEPTED: frozenset({PartyState.RELEASED}),
    PartyState.REFUSED: frozenset(),
    PartyState.RELEASED: frozenset(),
    PartyState.EXPIRED: frozenset(),
}
OPEN = frozenset({PartyState.ASKED, PartyState.PROPOSED})  # their answer is awaited
TAKING_PART = OPEN | {PartyState.NAMED, PartyState.ACCEPTED}  # the patient is told their names


@dataclass(frozen=True, slots=True)
class PanelRequest:
    """What the inviting side asks for. `document`: the canonical bytes that were sealed when it was sent."""

    id: str
    institution_id: str  # inviting
    consult_id: str
    state: RequestState
    mode: Mode
    urgency: Urgency
    reason: str
    aim: str
    summary: str
    wanted_department: str  # 诊疗科目 code
    wanted_specialty: str  # in the doctor's own words
    wanted_title: str  # 主任医师 ...; "" = any
    wanted_from: datetime
    wanted_to: datetime
    wanted: int  # how many institutions are needed; 0 = all that are named
    liability_mode: str  # fixed when it is sent: "inviting" | "shared"
    chair_id: str | None  # whom the inviting side wishes to lead
    drafted_by: str
    drafted_at: datetime
    sequence: int  # raised by every change a calendar has to hear of (RFC 5545 SEQUENCE)
    sent_by: str | None = None
    sent_at: datetime | None = None
    answer_by: datetime | None = None
    document: str | None = None
    digest: str | None = None
    signature: str | None = None  # the server's seal (JWS) with the requester named in it
    ended_at: datetime | None = None
    end_reason: str | None = None

    def move(self, to: RequestState, now: datetime, reason: str | None = None) -> "PanelRequest":
        """The request in its new state. Raises IllegalMove."""
        if to not in REQUEST_MOVES[self.state]:
            raise IllegalMove(f"request {self.state}->{to}")
        ended = to in _ENDED
        return replace(
            self,
            state=to,
            ended_at=now if ended else None,
            end_reason=reason if ended else None,
            sequence=self.sequence + 1 if ended else self.sequence,
        )

    @property
    def over(self) -> bool:
        return self.state in _ENDED


_ENDED = frozenset(state for state, to in REQUEST_MOVES.items() if not to)


@dataclass(frozen=True, slots=True)
class InvitedParty:
    """One institution asked by a request; `rank` from 1. `expert_ids`: whom the inviting side wishes, may be nobody."""

    id: str
    institution_id: str  # inviting (the row's tenant)
    consult_id: str
    request_id: str
    invited_institution_id: str
    rank: int
    expert_ids: tuple[str, ...]
    state: PartyState
    case_id: str | None = None  # since it was sent
    answered_at: datetime | None = None
    answered_by: str | None = None
    reason: str | None = None  # why refused
    reminded_at: datetime | None = None
    reason_code: str | None = None  # of HZ-19; None in answers of before

    def move(
        self, to: PartyState, now: datetime, by: str, reason: str | None = None, code: str | None = None
    ) -> "InvitedParty":
        """The party in its new state. Raises IllegalMove."""
        if to not in PARTY_MOVES[self.state]:
            raise IllegalMove(f"party {self.state}->{to}")
        answered = to in (PartyState.ACCEPTED, PartyState.REFUSED, PartyState.PROPOSED)
        return replace(
            self,
            state=to,
            answered_at=now if answered else self.answered_at,
            answered_by=by if answered else self.answered_by,
            reason=reason or self.reason,
            reason_code=code or self.reason_code,
        )


class ProposalKind(StrEnum):
    TIME = "time"
    STAND_IN = "stand_in"


class ProposalState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    VOID = "void"  # the request ended, or the institution answered otherwise, before it was decided


@dataclass(frozen=True, slots=True)
class Proposal:
    """The invited side offers another time, or another expert for one who cannot come."""

    id: str
    institution_id: str  # inviting
    consult_id: str
    request_id: str
    party_id: str
    kind: ProposalKind
    state: ProposalState
    reason: str
    made_by: str
    made_at: datetime
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    expert_id: str | None = None  # who cannot come
    stand_in_id: str | None = None
    answered_by: str | None = None
    answered_at: datetime | None = None
    answer_reason: str | None = None
