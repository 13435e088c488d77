"""Versioned wording: what every text must say, what is published, how it is rendered. Published is immutable."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.consult import PANELS, ConsultKind
from clinic.documents import canonical, digest
from clinic.people import GUESTS, Role
from clinic.roles import Action, Place, require
from consent.errors import NotReady, WordingIncomplete
from consent.records import ConsentTemplate, Purpose, PurposeQuestion, TemplateSection
from consent.transaction import ConsentTransaction

LOCALES = ("zh", "en")
PLACEHOLDERS = frozenset(
    {"institution", "doctor", "licence", "retention_years", "record_years", "phone", "fee", "shared_with"}
)
_VISIT = (
    "provider scope limits emergency fee identity recipients recording supervision rights withdrawal "
    "alternatives prescription minors ai residency choices"
)
STATEMENTS: Mapping[str, tuple[str, ...]] = {  # required statements by section key, domain-rules section 6
    "visit.patient": tuple(_VISIT.split()),
    "panel.patient": (*_VISIT.split(), "sharing", "responsibility"),
    "visit.guest": ("role", "confidentiality", "recording", "rights", "withdrawal", "choices"),
}
QUESTIONS: Mapping[str, tuple[Purpose, ...]] = {
    "visit.patient": (Purpose.TREAT, Purpose.REC_AV),
    "panel.patient": (Purpose.TREAT, Purpose.SHARE_PANEL, Purpose.REC_AV),
    "visit.guest": (Purpose.REC_AV,),
}
MAY_BLOCK_CARE = frozenset({Purpose.TREAT, Purpose.SHARE_PANEL})  # PIPL art. 16: nothing else may


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


def key_for(kind: ConsultKind, role: Role) -> str | None:
    """Which text a person signs; None for staff, who acknowledge the standing notice by joining."""
    if role is Role.PATIENT:
        return "panel.patient" if kind in PANELS else "visit.patient"
    return "visit.guest" if role in GUESTS else None


def parse(source: str, basis: str = "consent") -> Wording:
    """Read one wording file; basis "legal_duty" takes the duty's answer to "if I refuse". Raises WordingIncomplete."""
    try:
        data = json.loads(source)
        wording = Wording(
            data["key"],
            data["locale"],
            data["title"],
            tuple(TemplateSection(row["key"], row["title"], row["body"]) for row in data["sections"]),
            tuple(_question(row, basis) for row in data["questions"]),
            tuple(data["legal_basis"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WordingIncomplete(f"{type(error).__name__}: {error}") from error
    check(wording, basis)
    return wording


def _question(row: Mapping[str, Any], basis: str) -> PurposeQuestion:
    duty = row.get("legal_duty") if basis == "legal_duty" else None
    if_refused = duty["if_refused"] if duty else row["if_refused"]
    return PurposeQuestion(Purpose(row["purpose"]), row["question"], if_refused, bool(duty) or row["blocks_care"])


def check(wording: Wording, basis: str = "consent") -> None:
    """Every required statement and question, nothing empty, no unknown placeholder. Raises WordingIncomplete."""
    if wording.key not in STATEMENTS or wording.locale not in LOCALES:
        raise WordingIncomplete(f"unknown text {wording.key}.{wording.locale}")
    bodies = {section.key: section for section in wording.sections}
    for key in STATEMENTS[wording.key]:
        if key not in bodies or not bodies[key].body.strip() or not bodies[key].title.strip():
            raise WordingIncomplete(f"statement {key}")
    if tuple(question.purpose for question in wording.questions) != QUESTIONS[wording.key]:
        raise WordingIncomplete("questions")
    for question in wording.questions:
        blocks = MAY_BLOCK_CARE | ({Purpose.REC_AV} if basis == "legal_duty" else set())
        if not question.question.strip() or not question.if_refused.strip():
            raise WordingIncomplete(f"question {question.purpose}")
        if question.blocks_care and question.purpose not in blocks:
            raise WordingIncomplete(f"{question.purpose} may not block care")
    if not wording.legal_basis:
        raise WordingIncomplete("legal_basis")
    if unknown := _placeholders(wording) - PLACEHOLDERS:
        raise WordingIncomplete(f"placeholder {sorted(unknown)[0]}")


def _placeholders(wording: Wording) -> set[str]:
    texts = [wording.title, *(f"{section.title} {section.body}" for section in wording.sections)]
    texts += [f"{question.question} {question.if_refused}" for question in wording.questions]
    return {name for text in texts for name in re.findall(r"\{([^}]*)\}", text)}


@cache
def shipped(basis: str = "consent") -> tuple[Wording, ...]:
    """The wording in this package, for an institution that records by "consent" or by "legal_duty"."""
    entries = sorted(files("consent.wording").iterdir(), key=lambda entry: entry.name)
    return tuple(parse(entry.read_text("utf-8"), basis) for entry in entries if entry.name.endswith(".json"))


def document(part: Wording | ConsentTemplate | Rendered) -> dict[str, Any]:
    """The text as plain data, for canonical bytes."""
    return {
        "title": part.title,
        "sections": [{"key": row.key, "title": row.title, "body": row.body} for row in part.sections],
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


def render(template: ConsentTemplate, values: Mapping[str, str]) -> Rendered:
    """Fill the placeholders; the digest is over exactly what is shown. Raises NotReady when a value is missing."""

    def fill(text: str) -> str:
        return re.sub(r"\{([^}]*)\}", lambda match: _value(values, match.group(1)), text)

    filled = Rendered(
        fill(template.title),
        tuple(TemplateSection(row.key, fill(row.title), fill(row.body)) for row in template.sections),
        tuple(
            PurposeQuestion(row.purpose, fill(row.question), fill(row.if_refused), row.blocks_care)
            for row in template.questions
        ),
        template.legal_basis,
        "",
    )
    shown = {"locale": template.locale, "key": template.key, "version": template.version, **document(filled)}
    return Rendered(filled.title, filled.sections, filled.questions, filled.legal_basis, digest(canonical(shown)))


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


async def publish_wording(
    tx: ConsentTransaction, institution_id: str, wording: Wording, actor: Actor
) -> ConsentTemplate | None:
    """A new version, or None when it says the same as the current one. Raises WordingIncomplete, NotPermitted."""
    institution = await tx.institutions.get(institution_id)
    if actor.institution_id != institution_id:
        raise MissingRow("institutions")
    require(actor, Action.PUBLISH_TEMPLATE, Place(institution_id))
    check(wording, institution.recording_basis)
    before = await _versions(tx, institution_id, wording.key, wording.locale)
    sha256 = digest(canonical({"key": wording.key, "locale": wording.locale, **document(wording)}))
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
    public = {"key": template.key, "locale": template.locale, "version": template.version, "sha256": sha256}
    await tx.append(
        AuditEvent(EventCode.TEMPLATE_PUBLISHED, institution_id, actor.id, subject_id=template.id, public=public)
    )
    return template


async def latest(tx: ConsentTransaction, institution_id: str, key: str, locale: str) -> ConsentTemplate:
    """The version shown now. Raises NotReady when nothing is published."""
    versions = await _versions(tx, institution_id, key, locale)
    if not versions:
        raise NotReady(f"{key}.{locale}")
    return versions[-1]


async def _versions(tx: ConsentTransaction, institution_id: str, key: str, locale: str) -> list[ConsentTemplate]:
    found = await tx.consent_templates.find(institution_id=institution_id, key=key, locale=locale)
    return sorted(found, key=lambda template: template.version)
