"""Retention policies: loaded from data, checked, chosen by date. Nothing here knows a number of its own."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from archive.errors import PoliciesInvalid

PROCESS_AV = "process.av"
PROCESS_TEXT = "process.text"
EMR = "emr.outpatient"
CONSENT = "consent"
PANEL_COPY = "panel.copy"  # one institution's sealed copy of an expert consult
CLASSES = (PROCESS_AV, PROCESS_TEXT, EMR, CONSENT, PANEL_COPY)


class Trigger(StrEnum):
    CONSULT_CLOSED = "consult.closed"
    PATIENT_LAST_VISIT = "patient.last_visit"
    COVERED_RECORDS = "covered.records"  # the longest clock of the other records of the consult


@dataclass(frozen=True, slots=True)
class Citation:
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class MinorRule:
    """A child's record is kept until the age is reached, plus years."""

    until_age: int
    plus_years: int


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """The clock of one class. Calendar years in the institution's zone; floor is the law's, keep the house's."""

    record_class: str
    trigger: Trigger
    floor_years: int
    keep_years: int
    minor: MinorRule | None
    method: str
    approvals: int
    review_days: int
    basis: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    version: str
    jurisdiction: str
    effective_from: date
    effective_to: date | None
    policies: Mapping[str, RetentionPolicy]

    def in_force(self, on: date) -> bool:
        return self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Every version ever in force: a record keeps the one it was stamped with."""

    versions: Mapping[str, PolicyVersion]

    def current(self, on: date) -> PolicyVersion:
        """The one version in force on a day. Raises PoliciesInvalid."""
        matching = [version for version in self.versions.values() if version.in_force(on)]
        if len(matching) != 1:
            raise PoliciesInvalid(f"{len(matching)} versions in force on {on}")
        return matching[0]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a record is marked with when it comes under the archive's care."""

    record_class: str
    policy_version: str


def load(source: str) -> PolicyVersion:
    """Parse one policy file. Raises PoliciesInvalid naming the place."""
    try:
        data = json.loads(source)
        policies = [_policy(row) for row in data["policies"]]
        version = PolicyVersion(
            data["version"],
            data["jurisdiction"],
            date.fromisoformat(data["effective_from"]),
            date.fromisoformat(data["effective_to"]) if data["effective_to"] else None,
            {policy.record_class: policy for policy in policies},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PoliciesInvalid(f"{type(error).__name__}: {error}") from error
    if set(version.policies) != set(CLASSES) or len(policies) != len(CLASSES):
        raise PoliciesInvalid("each class needs exactly one policy")
    return version


def _policy(row: Mapping[str, Any]) -> RetentionPolicy:
    minor = row["minor"]
    policy = RetentionPolicy(
        row["class"],
        Trigger(row["trigger"]),
        _duration(row["floor"], "Y"),
        _duration(row["keep"], "Y"),
        None if minor is None else MinorRule(_positive(minor, "until_age"), _duration(minor["plus"], "Y")),
        row["dispose"]["method"],
        _positive(row["dispose"], "approvals"),
        _duration(row["dispose"]["review_window"], "D"),
        tuple(Citation(item["zh"], item["en"]) for item in row["basis"]),
    )
    if policy.keep_years < policy.floor_years:
        raise PoliciesInvalid(f"{policy.record_class}: keep is below the floor")
    if policy.approvals < 2 or not policy.basis:
        raise PoliciesInvalid(f"{policy.record_class}: two approvals and a citation are needed")
    return policy


def _duration(text: str, unit: str) -> int:
    match = re.fullmatch(rf"P(\d{{1,4}}){unit}", text)
    if match is None:
        raise PoliciesInvalid(f"{text!r} is not P<n>{unit}")
    return int(match.group(1))


def _positive(row: Mapping[str, Any], name: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PoliciesInvalid(f"{name} is a whole number above 0")
    return value


@cache
def shipped() -> PolicySet:
    """The policy versions in this package."""
    entries = sorted(files("archive.policies").iterdir(), key=lambda entry: entry.name)
    versions = [load(entry.read_text("utf-8")) for entry in entries if entry.name.endswith(".json")]
    return PolicySet({version.version: version for version in versions})


def stamp(record_class: str, on: date | None = None) -> Stamp:
    """The stamp for a record coming in on a day; without a day, of the version without an end."""
    if on is not None:
        version = shipped().current(on)
    else:
        version = next(version for version in shipped().versions.values() if version.effective_to is None)
    return Stamp(version.policies[record_class].record_class, version.version)
