"""An institution's own answers to what the rules leave open (HZ-17): versioned, audited, within what the rules allow.

The installation's settings are the answers of houses that gave none. `PolicyBook` is what a running server judges by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from audit.transaction import AuditEvent, Database
from clinic import checks, registration
from clinic.actor import Actor
from clinic.errors import InvalidInput
from clinic.overlays import rules_for
from clinic.people import Institution
from clinic.roles import Action, Place, require
from clinic.rulebook import RuleSet
from consent.effects import ExamViews, GuestRefuses, LateJoiner, OnWithdrawal, RecordingPolicy, ResumeBy
from consent.errors import PolicyNotAllowed
from consent.transaction import ConsentTransaction

RULE = "HZ-17"
BASIS = "recording_basis"  # kept with the institution itself: consent texts depend on it
# Each with its options, the most careful first.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "late_joiner": (LateJoiner.WAIT.value, LateJoiner.PAUSE.value),
    "guest_refuses": (GuestRefuses.UNRECORDED.value, GuestRefuses.KEEP_OUT.value),
    "exam_views": (ExamViews.NEVER.value, ExamViews.BY_CONSENT.value),
    "privacy_resume": (ResumeBy.ASKER.value, ResumeBy.DOCTOR.value),
    "other_withdraws": (OnWithdrawal.STOP.value, OnWithdrawal.PRIVACY_INTERVAL.value),
    BASIS: registration.RECORDING_BASES,
}
_TYPES: Mapping[str, type[StrEnum]] = {
    "late_joiner": LateJoiner,
    "guest_refuses": GuestRefuses,
    "exam_views": ExamViews,
    "privacy_resume": ResumeBy,
    "other_withdraws": OnWithdrawal,
}


class Source(StrEnum):
    """Where an answer comes from."""

    HOUSE = "house"
    INSTALLATION = "installation"
    RULES = "rules"  # what was chosen is not allowed any more


@dataclass(frozen=True, slots=True)
class HousePolicy:
    """One version of an institution's answers; the one with the highest number holds. Never changed."""

    id: str
    institution_id: str
    number: int
    values: tuple[tuple[str, str], ...]  # those it decides itself, by name
    reason: str
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    value: str
    source: Source
    allowed: tuple[str, ...]


def allowed(rules: RuleSet, name: str) -> tuple[str, ...]:
    """The options the rules leave, in order; never none: the most careful one always stays."""
    left = tuple(option for option in CHOICES[name] if rules.value(RULE, f"{name}_{option}"))
    return left or CHOICES[name][:1]


def answer(name: str, own: str | None, default: str, rules: RuleSet) -> Answer:
    """The house's word where it gave one, the installation's otherwise, the rules' where neither is allowed."""
    options = allowed(rules, name)
    if own in options:
        return Answer(own, Source.HOUSE, options)
    if own is None and default in options:
        return Answer(default, Source.INSTALLATION, options)
    return Answer(options[0], Source.RULES, options)


def policy_for(own: Mapping[str, str], default: RecordingPolicy, rules: RuleSet) -> RecordingPolicy:
    """The recording policy of one house at a moment."""
    found = {
        name: kind(answer(name, own.get(name), getattr(default, name), rules).value) for name, kind in _TYPES.items()
    }
    return replace(default, **found)  # type: ignore[arg-type]


async def versions(tx: ConsentTransaction, institution_id: str) -> Sequence[HousePolicy]:
    """Every version, oldest first."""
    return await tx.house_policies.find(institution_id=institution_id)


async def current(tx: ConsentTransaction, institution_id: str) -> dict[str, str]:
    """What the house decided itself, by name."""
    found = await versions(tx, institution_id)
    return dict(found[-1].values) if found else {}


async def change(
    tx: ConsentTransaction, changes: Mapping[str, str | None], reason: str, by: Actor
) -> HousePolicy | None:
    """A new version with these answers; None gives one back to the installation. None when nothing of it is new.

    Raises NotPermitted, InvalidInput, PolicyNotAllowed (the rules of the place do not allow it).
    """
    house = await tx.institutions.get(by.institution_id)
    require(by, Action.ADMINISTER, Place(house.id))
    said = checks.text("reason", reason, 500, 2)
    rules = rules_for(house, tx.now)
    for name, value in changes.items():
        _check(rules, name, value)
    basis = changes.get(BASIS)
    if basis is not None and basis != house.recording_basis:
        await registration.change_institution(tx, house.id, {BASIS: basis}, by)
    before = await current(tx, house.id)
    own = {name: value for name, value in (before | {**changes}).items() if value is not None and name != BASIS}
    changed = sorted(name for name in own.keys() | before.keys() if own.get(name) != before.get(name))
    if not changed:
        return None
    row = HousePolicy(
        id=uuid4().hex,
        institution_id=house.id,
        number=len(await versions(tx, house.id)) + 1,
        values=tuple(sorted(own.items())),
        reason=said,
        set_by=by.id,
        set_at=tx.now,
    )
    await tx.house_policies.add(row)
    public = {"number": row.number, "changed": [f"{name}:{own.get(name, 'default')}" for name in changed]}
    event = AuditEvent(
        EventCode.POLICY_CHANGED, house.id, by.id, subject_id=row.id, public=public, private={"reason": said}
    )
    await tx.append(event)
    return row


def _check(rules: RuleSet, name: str, value: str | None) -> None:
    if name not in CHOICES or (value is None and name == BASIS):
        raise InvalidInput(name[:40], "no such policy")
    if value is not None and value not in CHOICES[name]:
        raise InvalidInput(name, "not one of the allowed values")
    if value is not None and value not in allowed(rules, name):
        raise PolicyNotAllowed(name)


class PolicyBook:
    """The recording policies of every house of this server, in memory; read anew after a change."""

    def __init__(self, default: RecordingPolicy) -> None:
        self.default = default
        self._houses: dict[str, tuple[Institution, dict[str, str]]] = {}

    async def load(self, db: Database[Any], institution_id: str | None = None) -> None:
        """All houses at the start, one after its answers (or its province) changed."""
        async with db.read() as tx:
            houses = [await tx.institutions.get(institution_id)] if institution_id else await tx.institutions.find()
            for house in houses:
                self._houses[house.id] = (house, await current(tx, house.id))

    def of(self, institution_id: str, now: datetime) -> RecordingPolicy:
        """What holds in a house now; the installation's for one that is not known yet."""
        if institution_id not in self._houses:
            return self.default
        house, own = self._houses[institution_id]
        return policy_for(own, self.default, rules_for(house, now))
