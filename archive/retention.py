"""When may a record go? Pure, explained, in the institution's calendar; holds and open consults stop it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from archive.policy import (
    EMR,
    PANEL_COPY,
    PROCESS_AV,
    PROCESS_TEXT,
    Citation,
    PolicySet,
    PolicyVersion,
    RetentionPolicy,
    Trigger,
    stamp,
)
from archive.policy import shipped as policies
from archive.ports import ArchiveTransaction
from archive.records import HoldAskState, LegalHold, RetainedRecord, RetainedState
from clinic.calendar import add_years, age_on, local_date
from clinic.overlays import rules_for
from consent.records import ConsentAction

__all__ = [
    "Due",
    "Ground",
    "RetentionFacts",
    "assess",
    "assessment",
    "due",
    "due_list",
    "facts_of",
    "policies",
    "stamp",
]


@dataclass(frozen=True, slots=True)
class RetentionFacts:
    """What the clocks depend on beside the records. Ids to aware UTC times; births are dates."""

    time_zone: str
    last_visits: Mapping[str, datetime]  # by patient
    births: Mapping[str, date]  # by patient
    withdrawals: Mapping[str, datetime]  # by consult: the latest withdrawal of consent
    open_consults: frozenset[str] = frozenset()
    years: Mapping[str, int] = field(default_factory=dict)  # by class: what CN-14 asks for there, overlays included
    rules_version: str = ""
    hold_asked: frozenset[str] = frozenset()  # consults for which a hold is asked and not answered


@dataclass(frozen=True, slots=True)
class Ground:
    """One reason to keep: `years` after `since`. Codes: keep, minor, withdrawn, covers."""

    code: str
    policy_version: str
    since: date
    years: int
    until: date


@dataclass(frozen=True, slots=True)
class Due:
    """When a record may go, why then, and what stops it ("hold:<id>", "asked", "consult.open", "policy.unknown")."""

    record: RetainedRecord
    due_on: date
    why: tuple[Ground, ...]  # the latest first: the one that decides
    citations: tuple[Citation, ...]
    blocked_by: tuple[str, ...]

    def explain(self, locale: str = "zh") -> str:
        """The deciding ground in words."""
        ground = self.why[0]
        words = _WORDS["zh" if locale == "zh" else "en"][ground.code]
        return words.format(since=ground.since, years=ground.years, until=ground.until)


_WORDS = {
    "zh": {
        "keep": "自{since}起保存{years}年，至{until}",
        "minor": "患者为未成年人：{since}成年后再保存{years}年，至{until}",
        "withdrawn": "{since}撤回同意，此后保存{years}年，至{until}",
        "covers": "与同一次就诊中保存最久的记录同期，至{until}",
    },
    "en": {
        "keep": "{years} years from {since}: until {until}",
        "minor": "the patient is a child: {years} years after coming of age on {since}: until {until}",
        "withdrawn": "consent was withdrawn on {since}; {years} years after: until {until}",
        "covers": "as long as the longest-kept record of the visit: until {until}",
    },
}


def assess(
    records: Sequence[RetainedRecord],
    policy_set: PolicySet,
    holds: Iterable[LegalHold],
    facts: RetentionFacts,
    now: datetime,
) -> list[Due]:
    """Every record not yet destroyed, the earliest date first. Pass all records of the consults concerned.

    A record is judged by the policy it was stamped with and by the one in force: the later date counts, so a policy
    made shorter never shortens what was promised.
    """
    current = policy_set.current(local_date(now, facts.time_zone))
    held: dict[str, list[str]] = {}
    for hold in holds:
        if hold.lifted_at is None:
            held.setdefault(hold.consult_id, []).append(f"hold:{hold.id}")
    found = []
    for record in records:
        if record.state is RetainedState.DISPOSED:
            continue
        stamped = policy_set.versions.get(record.policy_version)
        grounds = _grounds(record, records, (stamped or current, current), policy_set, facts)
        blocked = list(held.get(record.consult_id, ()))
        blocked += ["asked"] if record.consult_id in facts.hold_asked else []
        blocked += ["consult.open"] if record.consult_id in facts.open_consults else []
        blocked += [] if stamped else ["policy.unknown"]
        citations = current.policies[record.record_class].basis
        found.append(Due(record, grounds[0].until, grounds, citations, tuple(blocked)))
    return sorted(found, key=lambda item: (item.due_on, item.record.id))


def due(
    records: Sequence[RetainedRecord],
    policy_set: PolicySet,
    holds: Iterable[LegalHold],
    facts: RetentionFacts,
    now: datetime,
) -> list[Due]:
    """Those whose date has come; `blocked_by` says which may not go all the same."""
    today = local_date(now, facts.time_zone)
    return [item for item in assess(records, policy_set, holds, facts, now) if item.due_on <= today]


def _grounds(
    record: RetainedRecord,
    records: Sequence[RetainedRecord],
    versions: tuple[PolicyVersion, ...],
    policy_set: PolicySet,
    facts: RetentionFacts,
) -> tuple[Ground, ...]:
    grounds: list[Ground] = []
    for version in dict.fromkeys(version.version for version in versions):
        policy = policy_set.versions[version].policies[record.record_class]
        if policy.trigger is Trigger.COVERED_RECORDS:
            covered = _covered(record, records, versions, policy_set, facts)
            if covered is not None:
                grounds.append(Ground("covers", version, covered, 0, covered))
            withdrawn = facts.withdrawals.get(record.consult_id)
            if withdrawn is not None:
                grounds.append(_after("withdrawn", version, local_date(withdrawn, facts.time_zone), policy.keep_years))
        grounds += _own_clock(record, policy, version, facts)
    return tuple(sorted(grounds, key=lambda ground: ground.until, reverse=True))


def _covered(
    record: RetainedRecord,
    records: Sequence[RetainedRecord],
    versions: tuple[PolicyVersion, ...],
    policy_set: PolicySet,
    facts: RetentionFacts,
) -> date | None:
    """The last day of the other records of the same consult (destroyed ones had their day)."""
    days = [
        ground.until
        for other in records
        if other.consult_id == record.consult_id and other.record_class != record.record_class
        for version in dict.fromkeys(version.version for version in versions)
        for ground in _own_clock(other, policy_set.versions[version].policies[other.record_class], version, facts)
    ]
    return max(days, default=None)


def _own_clock(record: RetainedRecord, policy: RetentionPolicy, version: str, facts: RetentionFacts) -> list[Ground]:
    moment = record.trigger_at
    if policy.trigger is Trigger.PATIENT_LAST_VISIT:
        moment = max(moment, facts.last_visits.get(record.patient_id, moment))
    since = local_date(moment, facts.time_zone)
    grounds = [_after("keep", version, since, max(policy.floor_years, policy.keep_years))]
    if facts.years.get(record.record_class, 0) > grounds[0].years:  # a province keeps longer
        grounds.append(_after("keep", facts.rules_version, since, facts.years[record.record_class]))
    birth = facts.births.get(record.patient_id)
    if policy.minor is not None and birth is not None and age_on(birth, since) < policy.minor.until_age:
        of_age = add_years(birth, policy.minor.until_age)
        grounds.append(_after("minor", version, of_age, policy.minor.plus_years))
    return grounds


def _after(code: str, version: str, since: date, years: int) -> Ground:
    return Ground(code, version, since, years, add_years(since, years))


_YEARS = {PROCESS_AV: "process_years", PROCESS_TEXT: "process_years", EMR: "record_years", PANEL_COPY: "record_years"}


async def facts_of(tx: ArchiveTransaction, institution_id: str) -> RetentionFacts:
    """Read an institution's clocks."""
    institution = await tx.institutions.get(institution_id)
    last_visits: dict[str, datetime] = {}
    open_consults = set()
    for consult in await tx.consults.find(institution_id=institution_id):
        if not consult.over:
            open_consults.add(consult.id)
        if consult.opened_at is not None:
            seen = consult.ended_at or consult.opened_at
            last_visits[consult.patient_id] = max(seen, last_visits.get(consult.patient_id, seen))
    withdrawals: dict[str, datetime] = {}
    for record in await tx.consent_records.find(institution_id=institution_id, action=ConsentAction.WITHDRAWN):
        withdrawals[record.consult_id] = max(record.recorded_at, withdrawals.get(record.consult_id, record.recorded_at))
    asked = await tx.hold_requests.find(institution_id=institution_id, state=HoldAskState.ASKED)
    births = {patient.id: patient.birth_date for patient in await tx.patients.find(institution_id=institution_id)}
    rules = rules_for(institution, tx.now)
    years = {name: rules.value("CN-14", value) for name, value in _YEARS.items()}
    return RetentionFacts(
        institution.time_zone,
        last_visits,
        births,
        withdrawals,
        frozenset(open_consults),
        years,
        rules.version,
        frozenset(request.consult_id for request in asked),
    )


async def assessment(tx: ArchiveTransaction, institution_id: str, at: datetime | None = None) -> list[Due]:
    """`assess` over everything an institution keeps, at a moment (now when left out)."""
    records = await tx.retained_records.find(institution_id=institution_id)
    holds = await tx.legal_holds.find(institution_id=institution_id)
    return assess(records, policies(), holds, await facts_of(tx, institution_id), at or tx.now)


async def due_list(tx: ArchiveTransaction, institution_id: str, at: datetime | None = None) -> list[Due]:
    """`due` over everything an institution keeps: what `huizhen retention due --at` prints."""
    institution = await tx.institutions.get(institution_id)
    today = local_date(at or tx.now, institution.time_zone)
    return [item for item in await assessment(tx, institution_id, at) if item.due_on <= today]
