"""What each purpose and each age needs: versioned data with citations, no constants in code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from consent.errors import PolicyInvalid
from consent.records import Purpose

AGES = ("own_word", "parent_consent", "self_supporting", "adult")


@dataclass(frozen=True, slots=True)
class Citation:
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class PurposeRule:
    """`identity`: the least level for a yes. `witness_lifts`: a witness makes up for a lower one.

    `may_block`: a no may keep from care (PIPL art. 16: only what care needs). `care`: may be given in an emergency.
    `months`: how long a yes lasts.
    """

    identity: int
    witness_lifts: bool
    may_block: bool
    care: bool
    months: int
    citation: Citation


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    version: str
    jurisdiction: str
    effective_from: date
    ages: Mapping[str, int]
    age_citations: Mapping[str, Citation]
    witness_minutes: int
    emergency: Citation
    no_asking_again: Citation
    purposes: Mapping[Purpose, PurposeRule]

    def purposes_where(self, name: str) -> frozenset[Purpose]:
        """Purposes whose rule says yes to `may_block`, `care` or `witness_lifts`."""
        return frozenset(purpose for purpose, rule in self.purposes.items() if getattr(rule, name))


def load(source: str) -> Policy:
    """Parse one policy file. Raises PolicyInvalid naming the place."""
    try:
        data = json.loads(source)
        policy = Policy(
            id=data["id"],
            version=data["version"],
            jurisdiction=data["jurisdiction"],
            effective_from=date.fromisoformat(data["effective_from"]),
            ages={name: _natural(data["ages"][name]["years"]) for name in AGES},
            age_citations={name: _citation(data["ages"][name]) for name in AGES},
            witness_minutes=_natural(data["witness_minutes"]["value"]),
            emergency=_citation(data["emergency"]),
            no_asking_again=_citation(data["no_asking_again"]),
            purposes={purpose: _rule(data["purposes"][purpose.value]) for purpose in Purpose},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyInvalid(f"{type(error).__name__}: {error}") from error
    years = [policy.ages[name] for name in AGES]
    if years != sorted(years):
        raise PolicyInvalid("ages are not in order")
    return policy


def _rule(body: Mapping[str, Any]) -> PurposeRule:
    flags = {name: body[name] for name in ("witness_lifts", "may_block", "care")}
    if any(type(value) is not bool for value in flags.values()):
        raise ValueError("yes or no expected")
    return PurposeRule(
        identity=_natural(body["identity"]), months=_natural(body["months"]), citation=_citation(body), **flags
    )


def _natural(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("whole number expected")
    return value


def _citation(body: Mapping[str, Any]) -> Citation:
    zh, en = body["citation"]["zh"], body["citation"]["en"]
    if not (isinstance(zh, str) and isinstance(en, str) and zh.strip() and en.strip()):
        raise ValueError("citation is empty")
    return Citation(zh, en)


@cache
def shipped() -> tuple[Policy, ...]:
    """The policies in this package, oldest first."""
    found = [load(each.read_text("utf-8")) for each in files("consent.policies").iterdir() if each.name[-5:] == ".json"]
    return tuple(sorted(found, key=lambda policy: policy.effective_from))


def in_force(on: date) -> Policy:
    """The newest policy that has begun on a day. Raises PolicyInvalid when none has."""
    begun = [policy for policy in shipped() if policy.effective_from <= on]
    if not begun:
        raise PolicyInvalid(f"no consent policy in force on {on}")
    return begun[-1]
