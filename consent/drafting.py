"""Wording is drafted by one person, reviewed by a second and published by a third; every step is on record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.errors import InvalidInput
from clinic.roles import Action, Place, require
from consent.choices import settings_of
from consent.errors import DraftChanged, DraftClosed, DraftUnchanged, NotReviewed, SameHands, WordingIncomplete
from consent.records import ConsentTemplate, DraftState, PurposeQuestion, Review, TemplateDraft, TemplateSection
from consent.statements import STATEMENTS
from consent.templates import add_version, check, fingerprint, versions
from consent.transaction import ConsentTransaction

MOST_SECTIONS = 40
MOST_QUESTIONS = 16
MOST_OPTIONS = 6
LONGEST_BODY = 4_000


@dataclass(frozen=True, slots=True)
class Draft:
    """What an author hands in."""

    key: str
    locale: str
    title: str
    sections: tuple[TemplateSection, ...]
    questions: tuple[PurposeQuestion, ...]
    legal_basis: tuple[str, ...]
    major: bool = True


async def begin(tx: ConsentTransaction, actor: Actor, draft: Draft) -> TemplateDraft:
    """A new draft; it may still lack things. Raises InvalidInput, NotPermitted."""
    require(actor, Action.DRAFT_TEMPLATE, Place(actor.institution_id))
    settings = await settings_of(tx, actor.institution_id)
    checks.one_of("key", draft.key, STATEMENTS)
    checks.one_of("locale", draft.locale, settings.locales)
    row = TemplateDraft(
        id=uuid4().hex,
        institution_id=actor.institution_id,
        key=draft.key,
        locale=draft.locale,
        **_content(draft),
        sha256="",
        state=DraftState.OPEN,
        authors=(actor.id,),
        reviews=(),
        created_at=tx.now,
        changed_at=tx.now,
    )
    row = replace(row, sha256=fingerprint(row))
    await tx.consent_drafts.add(row)
    await _told(tx, EventCode.TEMPLATE_DRAFTED, row, actor, voided=0)
    return row


async def change(tx: ConsentTransaction, actor: Actor, draft_id: str, draft: Draft) -> TemplateDraft:
    """A change voids every review; who makes it becomes an author. Raises DraftClosed, InvalidInput, NotPermitted."""
    require(actor, Action.DRAFT_TEMPLATE, Place(actor.institution_id))
    before = await _open(tx, actor, draft_id)
    if (draft.key, draft.locale) != (before.key, before.locale):
        raise InvalidInput("key", "a draft stays what it is about")
    row = replace(
        before,
        **_content(draft),
        authors=tuple(dict.fromkeys((*before.authors, actor.id))),
        reviews=(),
        changed_at=tx.now,
    )
    row = replace(row, sha256=fingerprint(row))
    await tx.consent_drafts.save(row)
    await _told(tx, EventCode.TEMPLATE_DRAFTED, row, actor, voided=len(before.reviews))
    return row


async def review(tx: ConsentTransaction, actor: Actor, draft_id: str, sha256: str) -> TemplateDraft:
    """A second person finds exactly this text fit for publication.

    Raises SameHands, DraftChanged, DraftClosed, WordingIncomplete with everything that is lacking, NotPermitted.
    """
    require(actor, Action.REVIEW_TEMPLATE, Place(actor.institution_id))
    before = await _unchanged(tx, actor, draft_id, sha256)
    if actor.id in (*before.authors, *(done.by for done in before.reviews)):
        raise SameHands()
    await _fit(tx, before)
    row = replace(before, reviews=(*before.reviews, Review(actor.id, tx.now, sha256)))
    await tx.consent_drafts.save(row)
    await _told(tx, EventCode.TEMPLATE_REVIEWED, row, actor)
    return row


async def publish(tx: ConsentTransaction, actor: Actor, draft_id: str, sha256: str) -> ConsentTemplate:
    """A third person publishes what another one reviewed; from then on nobody can change it.

    Raises NotReviewed, SameHands, DraftChanged, DraftClosed, DraftUnchanged, WordingIncomplete, NotPermitted.
    """
    before = await _unchanged(tx, actor, draft_id, sha256)
    others = [done for done in before.reviews if done.by != actor.id and done.sha256 == sha256]
    require(actor, Action.PUBLISH_TEMPLATE, Place(actor.institution_id, approved=True))
    if not before.reviews:
        raise NotReviewed()
    if actor.id in before.authors or not others:
        raise SameHands()
    await _fit(tx, before)
    template = await add_version(tx, actor.institution_id, before, actor, draft=before.id, major=before.major)
    if template is None:
        raise DraftUnchanged()
    row = replace(before, state=DraftState.PUBLISHED, template_id=template.id, changed_at=tx.now)
    await tx.consent_drafts.save(row)
    await _told(tx, EventCode.TEMPLATE_DRAFT_CLOSED, row, actor)
    return template


async def discard(tx: ConsentTransaction, actor: Actor, draft_id: str) -> TemplateDraft:
    """Raises DraftClosed, NotPermitted."""
    require(actor, Action.DRAFT_TEMPLATE, Place(actor.institution_id))
    row = replace(await _open(tx, actor, draft_id), state=DraftState.DISCARDED, changed_at=tx.now)
    await tx.consent_drafts.save(row)
    await _told(tx, EventCode.TEMPLATE_DRAFT_CLOSED, row, actor)
    return row


async def lacking(tx: ConsentTransaction, draft: TemplateDraft) -> tuple[str, ...]:
    """What keeps a draft from review, as "what:which"; empty when nothing does."""
    try:
        await _fit(tx, draft)
    except WordingIncomplete as error:
        return error.reasons
    return ()


async def is_major(tx: ConsentTransaction, older: ConsentTemplate, newer: ConsentTemplate) -> bool:
    """Whether something between two versions changes what people agreed to; a shipped text always does."""
    between = await versions(tx, newer.institution_id, newer.key, newer.locale)
    drafts = await tx.consent_drafts.find(institution_id=newer.institution_id, key=newer.key)
    minor = {draft.template_id for draft in drafts if not draft.major}
    return any(row.id not in minor for row in between if older.version < row.version <= newer.version)


async def _fit(tx: ConsentTransaction, draft: TemplateDraft) -> None:
    institution = await tx.institutions.get(draft.institution_id)
    settings = await settings_of(tx, draft.institution_id)
    check(draft, institution.recording_basis, settings.locales)


async def _open(tx: ConsentTransaction, actor: Actor, draft_id: str) -> TemplateDraft:
    draft = await tx.consent_drafts.get(draft_id)
    if draft.institution_id != actor.institution_id:
        raise MissingRow("consent_drafts")
    if draft.state is not DraftState.OPEN:
        raise DraftClosed()
    return draft


async def _unchanged(tx: ConsentTransaction, actor: Actor, draft_id: str, sha256: str) -> TemplateDraft:
    draft = await _open(tx, actor, draft_id)
    if draft.sha256 != sha256:
        raise DraftChanged()
    return draft


def _content(draft: Draft) -> dict[str, Any]:
    """Bounded and clean; whether it is complete is asked at the review."""
    if len(draft.sections) > MOST_SECTIONS or len(draft.questions) > MOST_QUESTIONS:
        raise InvalidInput("sections", "too many")
    return {
        "title": checks.text("title", draft.title, checks.LINE, 0),
        "sections": tuple(_section(row) for row in draft.sections),
        "questions": tuple(
            replace(
                row,
                question=checks.text("question", row.question, 600, 0),
                if_refused=checks.text("if_refused", row.if_refused, 600, 0),
            )
            for row in draft.questions
        ),
        "legal_basis": _lines("legal_basis", draft.legal_basis, 20),
        "major": draft.major,
    }


def _section(row: TemplateSection) -> TemplateSection:
    asked = row.check
    if asked is not None:
        asked = replace(
            asked,
            question=checks.text("check", asked.question, 300, 0),
            options=_lines("check", asked.options, MOST_OPTIONS),
            explanation=checks.text("check", asked.explanation, 600, 0),
        )
    return TemplateSection(
        checks.text("section", row.key, 40),
        checks.text("section", row.title, checks.LINE, 0),
        checks.text("section", row.body, LONGEST_BODY, 0),
        tuple(dict.fromkeys(_lines("statements", row.statements, 40))),
        asked,
    )


def _lines(field: str, values: Sequence[str], most: int) -> tuple[str, ...]:
    if len(values) > most:
        raise InvalidInput(field, "too many")
    return tuple(checks.text(field, value, 300, 0) for value in values)


async def _told(tx: ConsentTransaction, code: EventCode, row: TemplateDraft, actor: Actor, **more: Any) -> None:
    public: Mapping[str, Any] = {"key": row.key, "locale": row.locale, "sha256": row.sha256, "state": row.state.value}
    await tx.append(AuditEvent(code, row.institution_id, actor.id, subject_id=row.id, public={**public, **more}))
