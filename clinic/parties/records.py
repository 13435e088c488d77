"""Rows of the parties: an institution's entry in the directory, an agreement between two, each side's seal under it."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from clinic.consult import ConsultKind
from clinic.errors import IllegalMove


class Tier(StrEnum):
    """Where an institution stands in the tiers of care (分级诊疗), the highest first."""

    PROVINCE = "province"  # 省
    CITY = "city"  # 市
    COUNTY = "county"  # 县
    TOWNSHIP = "township"  # 乡


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """What an institution says of itself to those who might ask it; its id is the institution's, so there is one."""

    id: str
    institution_id: str
    tier: Tier
    region: str  # six digits of GB/T 2260
    departments: tuple[str, ...]  # offered to others, of those it is licensed for
    accepts: bool  # takes requests at present
    contact_name: str
    contact_phone: str
    note: str
    changed_by: str
    changed_at: datetime


class Liability(StrEnum):
    """Who answers for harm (远程医疗服务管理规范 五)."""

    BY_KIND = "by_kind"  # as the rules say: inviting side for a consult, both for a remote diagnosis
    INVITING = "inviting"
    SHARED = "shared"


class AgreementState(StrEnum):
    DRAFT = "draft"  # seen by the side that writes it
    OFFERED = "offered"  # that side sealed it; the other reads it and seals or declines
    SEALED = "sealed"  # both seals; in force within its dates
    DECLINED = "declined"  # dropped before both seals
    ENDED = "ended"


MOVES: dict[AgreementState, frozenset[AgreementState]] = {
    AgreementState.DRAFT: frozenset({AgreementState.OFFERED, AgreementState.DECLINED}),
    AgreementState.OFFERED: frozenset({AgreementState.SEALED, AgreementState.DECLINED}),
    AgreementState.SEALED: frozenset({AgreementState.ENDED}),
    AgreementState.DECLINED: frozenset(),
    AgreementState.ENDED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class CooperationAgreement:
    """One version of an agreement. Words change in a draft only; after that by a new version of the same series."""

    id: str
    institution_id: str  # the side that drafted it
    series_id: str  # the first version's id
    version: int
    inviting_id: str
    invited_id: str
    number: str
    purpose: str
    content: str  # conditions, process, rights and duties (规范 三(一))
    kinds: tuple[str, ...]  # kinds of consult it covers
    liability: Liability
    liability_text: str  # how harm is split and disputes are settled
    fee_split: str
    valid_from: date
    valid_to: date  # both days included, in the inviting house's zone
    state: AgreementState
    drafted_by: str
    drafted_at: datetime
    changed_at: datetime
    offered_at: datetime | None = None  # the first seal
    sealed_at: datetime | None = None  # the second seal
    replaced_on: date | None = None  # from this day a later version holds
    ended_on: date | None = None  # from this day nothing new rests on it
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str = ""

    def move(self, to: AgreementState) -> "CooperationAgreement":
        """The agreement in its new state. Raises IllegalMove."""
        if to not in MOVES[self.state]:
            raise IllegalMove(f"{self.state}->{to}")
        return replace(self, state=to)

    def other(self, institution_id: str) -> str:
        """The party opposite."""
        return self.invited_id if institution_id == self.inviting_id else self.inviting_id

    @property
    def parties(self) -> frozenset[str]:
        return frozenset({self.inviting_id, self.invited_id})

    @property
    def covered(self) -> tuple[ConsultKind, ...]:
        return tuple(ConsultKind(kind) for kind in self.kinds)

    @property
    def stands_open(self) -> bool:
        """Not complete yet: it may be taken back or declined."""
        return AgreementState.DECLINED in MOVES[self.state]

    def shown_to(self, institution_id: str) -> bool:
        """Its parties see it; the one that did not draft it only once it was offered."""
        if institution_id not in self.parties:
            return False
        return self.institution_id == institution_id or self.offered_at is not None

    def covers(self, kind: ConsultKind, on: date) -> bool:
        """Whether a request of this kind may rest on it that day: both seals, within its dates, not ended, newest."""
        if self.state not in (AgreementState.SEALED, AgreementState.ENDED) or kind.value not in self.kinds:
            return False
        stopped = [day for day in (self.replaced_on, self.ended_on) if day is not None]
        return self.valid_from <= on <= self.valid_to and all(on < day for day in stopped)

    def liability_for(self, kind: ConsultKind) -> str:
        """Who answers: "inviting" or "shared", fixed in the request."""
        if self.liability is not Liability.BY_KIND:
            return self.liability.value
        return (Liability.SHARED if kind is ConsultKind.REMOTE_DIAGNOSIS else Liability.INVITING).value


@dataclass(frozen=True, slots=True)
class AgreementSeal:
    """One side's seal with its own copy of what was sealed: either side can prove the agreement without the other."""

    id: str
    institution_id: str  # who sealed
    agreement_id: str
    document: str  # canonical JSON
    digest: str  # SHA-256 of it, hex
    seal: str  # the house's server seal (compact JWS)
    sealed_by: str
    sealed_at: datetime
