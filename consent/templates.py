"""Versioned wording: what every text must say, what is published, how it is rendered. Published is immutable."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.documents import canonical, digest
from clinic.people import GUESTS, Institution, Role
from clinic.roles import Action, Place, require
from consent.errors import NotReady, WordingIncomplete
from consent.policy import in_force
from consent.records import Comprehension, ConsentTemplate, Purpose, PurposeQuestion, TemplateDraft, TemplateSection
from consent.statements import STATEMENTS, lacking
from consent.transaction import ConsentTransaction

LOCALES = ("zh", "en")
PLACEHOLDERS = frozenset(
    {"institution", "doctor", "licence", "retention_years", "record_years", "phone", "fee", "shared_with"}
    | {"ethics_id", "abroad"}
)


@dataclass(frozen=True, slots=True)
class Wording:
    """A text before it is published."""

    key: str
    locale: str
    title: str
    sections: tuple[TemplateSection, ...]
    questions: tuple[PurposeQuestion, ...]
    legal_basis: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """Exactly what a person is shown: every placeholder filled. `sha256` is over the canonical bytes of the rest."""

    title: str
    sections: tuple[TemplateSection, ...]
    questions: tuple[PurposeQuestion, ...]
    legal_basis: tuple[str, ...]
    sha256: str


_PATIENTS: Mapping[ConsultKind, str] = {  # each kind of consult promises something else, and says so
    ConsultKind.FOLLOW_UP: "visit.patient",
    ConsultKind.ADVICE: "advice.patient",
    ConsultKind.FAMILY_DOCTOR: "family.patient",
    ConsultKind.EXPERT_CONSULT: "panel.patient",
    ConsultKind.REMOTE_DIAGNOSIS: "diagnosis.patient",
}


def key_for(kind: ConsultKind, role: Role) -> str | None:
    """Which text a person signs; None for staff, who acknowledge the standing notice by joining."""
    if role is Role.PATIENT:
        return _PATIENTS[kind]
    return "visit.guest" if role in GUESTS else None


def parse(source: str, basis: str = "consent") -> Wording:
    """Read one wording file; basis "legal_duty" takes the duty's answer to "if I refuse". Raises WordingIncomplete."""
    try:
        data = json.loads(source)
        wording = Wording(
            data["key"],
            data["locale"],
            data["title"],
            tuple(_section(row) for row in data["sections"]),
            tuple(_question(row, basis) for row in data["questions"]),
            tuple(data["legal_basis"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WordingIncomplete((f"unreadable:{type(error).__name__}",)) from error
    check(wording, basis)
    return wording


def _section(row: Mapping[str, Any]) -> TemplateSection:
    return TemplateSection(
        row["key"],
        row["title"],
        row["body"],
        tuple(row.get("statements", ())),
        _comprehension(row["check"]) if "check" in row else None,
    )


def _comprehension(row: Mapping[str, Any]) -> Comprehension:
    return Comprehension(row["question"], tuple(row["options"]), row["right"], row["explanation"])


def _question(row: Mapping[str, Any], basis: str) -> PurposeQuestion:
    duty = row.get("legal_duty") if basis == "legal_duty" else None
    if_refused = duty["if_refused"] if duty else row["if_refused"]
    return PurposeQuestion(Purpose(row["purpose"]), row["question"], if_refused, bool(duty) or row["blocks_care"])


def check(
    wording: Wording | TemplateDraft, basis: str = "consent", locales: Collection[str] = LOCALES, on: date = date.max
) -> None:
    """Every required statement and question, nothing empty, no unknown placeholder.

    Raises WordingIncomplete with everything that is lacking.
    """
    if wording.key not in STATEMENTS or wording.locale not in locales:
        raise WordingIncomplete((f"text:{wording.key}.{wording.locale}",))
    duty = {Purpose.REC_AV} if basis == "legal_duty" else set()
    faults = lacking(wording, in_force(on).purposes_where("may_block") | duty)
    if not wording.title.strip():
        faults = ("title:missing", *faults)
    faults += tuple(f"placeholder:{name}" for name in sorted(_placeholders(wording) - PLACEHOLDERS))
    if faults:
        raise WordingIncomplete(faults)


def _placeholders(wording: Wording | TemplateDraft) -> set[str]:
    texts = [wording.title, *(f"{section.title} {section.body}" for section in wording.sections)]
    texts += [f"{question.question} {question.if_refused}" for question in wording.questions]
    return {name for text in texts for name in re.findall(r"\{([^}]*)\}", text)}


@cache
def shipped(basis: str = "consent") -> tuple[Wording, ...]:
    """The wording in this package, for an institution that records by "consent" or by "legal_duty"."""
    entries = sorted(files("consent.wording").iterdir(), key=lambda entry: entry.name)
    return tuple(parse(entry.read_text("utf-8"), basis) for entry in entries if entry.name.endswith(".json"))


def document(part: Wording | ConsentTemplate | TemplateDraft | Rendered) -> dict[str, Any]:
    """The text as plain data, for canonical bytes. Members younger than a text are left out where it has none."""
    return {
        "title": part.title,
        "sections": [_section_document(row) for row in part.sections],
        "questions": [
            {
                "purpose": row.purpose.value,
                "question": row.question,
                "if_refused": row.if_refused,
                "blocks_care": row.blocks_care,
            }
            for row in part.questions
        ],
        "legal_basis": list(part.legal_basis),
    }


def _section_document(row: TemplateSection) -> dict[str, Any]:
    data: dict[str, Any] = {"key": row.key, "title": row.title, "body": row.body}
    if row.statements:
        data["statements"] = list(row.statements)
    if row.check is not None:
        check = row.check
        data["check"] = {
            "question": check.question,
            "options": list(check.options),
            "right": check.right,
            "explanation": check.explanation,
        }
    return data


def fingerprint(wording: Wording | TemplateDraft) -> str:
    """SHA-256 of the canonical bytes of a text: equal when two texts say the same."""
    return _of_wording(wording) if isinstance(wording, Wording) else _fingerprint(wording)


@lru_cache(maxsize=64)
def _of_wording(wording: Wording) -> str:
    """The shipped texts are published by every institution."""
    return _fingerprint(wording)


def _fingerprint(text: Wording | TemplateDraft) -> str:
    return digest(canonical({"key": text.key, "locale": text.locale, **document(text)}))


def render(
    template: ConsentTemplate | TemplateDraft, values: Mapping[str, str], asked: Collection[Purpose] | None = None
) -> Rendered:
    """Fill the placeholders; the digest is over exactly what is shown. `asked`: only these questions (None = all).

    Raises NotReady when a value is missing.
    """

    def fill(text: str) -> str:
        return re.sub(r"\{([^}]*)\}", lambda match: _value(values, match.group(1)), text)

    chosen = [row for row in template.questions if asked is None or row.purpose in asked]
    filled = Rendered(
        fill(template.title),
        tuple(replace(row, title=fill(row.title), body=fill(row.body)) for row in template.sections),
        tuple(replace(row, question=fill(row.question), if_refused=fill(row.if_refused)) for row in chosen),
        template.legal_basis,
        "",
    )
    version = template.version if isinstance(template, ConsentTemplate) else 0
    shown = {"locale": template.locale, "key": template.key, "version": version, **document(filled)}
    return replace(filled, sha256=digest(canonical(shown)))


def _value(values: Mapping[str, str], name: str) -> str:
    if not values.get(name):
        raise NotReady(name)
    return values[name]


async def publish(tx: ConsentTransaction, institution_id: str, actor: Actor) -> tuple[ConsentTemplate, ...]:
    """Publish the shipped wording that differs from the institution's; what was published. Raises NotPermitted."""
    institution = await tx.institutions.get(institution_id)
    published = [
        await publish_wording(tx, institution_id, wording, actor) for wording in shipped(institution.recording_basis)
    ]
    return tuple(template for template in published if template is not None)


async def lacks(tx: ConsentTransaction, institution: Institution) -> list[Wording]:
    """Shipped texts the institution uses some of and has no version of: kinds of consult younger than it."""
    known = {(row.key, row.locale) for row in await tx.consent_templates.find(institution_id=institution.id)}
    wanted = [row for row in shipped(institution.recording_basis) if (row.key, row.locale) not in known]
    return wanted if known else []


async def publish_missing(tx: ConsentTransaction, institution_id: str, actor: Actor) -> None:
    """Raises NotPermitted."""
    for wording in await lacks(tx, await tx.institutions.get(institution_id)):
        await publish_wording(tx, institution_id, wording, actor)


async def publish_wording(
    tx: ConsentTransaction, institution_id: str, wording: Wording, actor: Actor
) -> ConsentTemplate | None:
    """A new version by the operator, or None when it says the same as the current one. People go by `consent.drafting`.

    Raises WordingIncomplete, NotPermitted.
    """
    institution = await tx.institutions.get(institution_id)
    if actor.institution_id != institution_id:
        raise MissingRow("institutions")
    require(actor, Action.PUBLISH_TEMPLATE, Place(institution_id))
    check(wording, institution.recording_basis)
    return await add_version(tx, institution_id, wording, actor)


async def add_version(
    tx: ConsentTransaction, institution_id: str, wording: Wording | TemplateDraft, actor: Actor, **more: Any
) -> ConsentTemplate | None:
    """The next version of a checked text; None when it says the same as the current one. `more`: for the event."""
    before = await versions(tx, institution_id, wording.key, wording.locale)
    sha256 = fingerprint(wording)
    if before and before[-1].sha256 == sha256:
        return None
    template = ConsentTemplate(
        id=uuid4().hex,
        institution_id=institution_id,
        key=wording.key,
        version=len(before) + 1,
        locale=wording.locale,
        title=wording.title,
        sections=wording.sections,
        questions=wording.questions,
        legal_basis=wording.legal_basis,
        sha256=sha256,
        published_at=tx.now,
        published_by=actor.id,
    )
    await tx.consent_templates.add(template)
    public = {"key": template.key, "locale": template.locale, "version": template.version, "sha256": sha256, **more}
    await tx.append(
        AuditEvent(EventCode.TEMPLATE_PUBLISHED, institution_id, actor.id, subject_id=template.id, public=public)
    )
    return template


async def latest(tx: ConsentTransaction, institution_id: str, key: str, locale: str) -> ConsentTemplate:
    """The version shown now. Raises NotReady when nothing is published."""
    published = await versions(tx, institution_id, key, locale)
    if not published:
        raise NotReady(f"{key}.{locale}")
    return published[-1]


async def versions(tx: ConsentTransaction, institution_id: str, key: str, locale: str) -> list[ConsentTemplate]:
    """All published versions of a text, oldest first."""
    found = await tx.consent_templates.find(institution_id=institution_id, key=key, locale=locale)
    return sorted(found, key=lambda template: template.version)
