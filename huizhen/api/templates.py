"""The wording at the console: texts and versions, drafts, review, publication, what the institution asks for."""

from collections.abc import Sequence

from audit.errors import MissingRow
from clinic.people import Institution
from clinic.roles import Action
from clinic.rulebook import in_force
from consent import choices, diffing, drafting
from consent.choices import CHOOSABLE, Choices
from consent.drafting import Draft
from consent.records import (
    Comprehension,
    ConsentSettings,
    ConsentTemplate,
    DraftState,
    Purpose,
    PurposeQuestion,
    TemplateDraft,
    TemplateSection,
)
from consent.statements import OPTIONAL, QUESTIONS, STATEMENTS
from consent.templates import Rendered, render, versions
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, NoBody
from huizhen.api.shapes.template import (
    CheckPart,
    CompareQuery,
    DraftContent,
    DraftRow,
    DraftSeen,
    DraftView,
    LineView,
    PartView,
    QuestionPart,
    ReviewView,
    SectionPart,
    SettingsBody,
    SettingsView,
    TemplateView,
    TextList,
    TextRow,
    TextView,
    VersionRow,
)
from huizhen.store.tables import StoreTransaction


async def list_texts(call: Call[NoBody]) -> TextList:
    """Every text in every language of the institution."""
    settings = await choices.settings_of(call.tx, call.me.institution_id)
    rows = [await _text_row(call, key, locale) for key in STATEMENTS for locale in settings.locales]
    return TextList(
        items=rows,
        locales=list(settings.locales),
        required={key: list(tags) for key, tags in STATEMENTS.items()},
        purposes={key: [*QUESTIONS[key], *(each for each in Purpose if each in OPTIONAL[key])] for key in STATEMENTS},
    )


async def _text_row(call: Call[NoBody], key: str, locale: str) -> TextRow:
    tx, house = call.tx, call.me.institution_id
    published = await versions(tx, house, key, locale)
    drafts = [
        draft
        for draft in await tx.consent_drafts.find(institution_id=house)
        if draft.key == key and draft.locale == locale and draft.state is DraftState.OPEN
    ]
    return TextRow(
        key=key,
        locale=locale,
        title=published[-1].title if published else "",
        versions=[await _version_row(tx, row) for row in reversed(published)],
        drafts=[await _draft_row(call, draft) for draft in drafts],
    )


async def _version_row(tx: StoreTransaction, row: ConsentTemplate) -> VersionRow:
    return VersionRow(
        id=row.id,
        version=row.version,
        sha256=row.sha256,
        published_at=row.published_at,
        published_by=await _name(tx, row.published_by),
    )


async def _draft_row(call: Call[B], row: TemplateDraft) -> DraftRow:
    return DraftRow(
        id=row.id,
        key=row.key,
        locale=row.locale,
        title=row.title,
        state=row.state,
        major=row.major,
        sha256=row.sha256,
        authors=[await _name(call.tx, each) for each in row.authors],
        mine=call.me.id in row.authors,
        reviews=[ReviewView(who=await _name(call.tx, done.by), at=done.at) for done in row.reviews],
        reviewed_by_me=any(done.by == call.me.id for done in row.reviews),
        changed_at=row.changed_at,
    )


async def _name(tx: StoreTransaction, staff_id: str) -> str:
    """A person's name; the operator's own command line has none."""
    try:
        return (await tx.staff.get(staff_id)).name
    except MissingRow:
        return ""


async def show_version(call: Call[NoBody]) -> TemplateView:
    row = await call.tx.consent_templates.get(call.path("template"))
    known = await versions(call.tx, row.institution_id, row.key, row.locale)
    wanted = call.query.against or row.version - 1
    before = next((each for each in known if each.version == wanted), None)
    return TemplateView(
        id=row.id,
        key=row.key,
        locale=row.locale,
        version=row.version,
        sha256=row.sha256,
        published_at=row.published_at,
        published_by=await _name(call.tx, row.published_by),
        text=text_view(row),
        preview=text_view(await _preview(call.tx, row)),
        changed=_changed(before, row),
    )


async def show_draft(call: Call[NoBody]) -> DraftView:
    return await _draft_view(call, await call.tx.consent_drafts.get(call.path("draft")))


async def _draft_view(call: Call[B], row: TemplateDraft) -> DraftView:
    published = await versions(call.tx, row.institution_id, row.key, row.locale)
    return DraftView(
        draft=await _draft_row(call, row),
        text=text_view(row),
        preview=text_view(await _preview(call.tx, row)),
        lacking=list(await drafting.lacking(call.tx, row)),
        changed=_changed(published[-1] if published else None, row),
    )


def text_view(text: ConsentTemplate | TemplateDraft | Rendered) -> TextView:
    return TextView(
        title=text.title,
        sections=[_section_part(row) for row in text.sections],
        questions=[
            QuestionPart(
                purpose=row.purpose, question=row.question, if_refused=row.if_refused, blocks_care=row.blocks_care
            )
            for row in text.questions
        ],
        legal_basis=list(text.legal_basis),
    )


def _section_part(row: TemplateSection) -> SectionPart:
    check = row.check
    return SectionPart(
        key=row.key,
        title=row.title,
        body=row.body,
        statements=list(row.statements),
        check=CheckPart(
            question=check.question, options=list(check.options), right=check.right, explanation=check.explanation
        )
        if check is not None
        else None,
    )


async def _preview(tx: StoreTransaction, text: ConsentTemplate | TemplateDraft) -> Rendered:
    """As a patient would see it, every question, with the house's own name and examples where a visit fills them in."""
    house = await tx.institutions.get(text.institution_id)
    settings = await choices.settings_of(tx, house.id)
    values = _Examples(_examples(house, settings, text.locale.startswith("zh"), tx))
    return render(text, values)


class _Examples(dict[str, str]):
    """An unknown placeholder stays visible instead of keeping the preview from showing."""

    def get(self, key: str, default: str | None = None) -> str:  # type: ignore[override]
        return super().get(key) or f"{{{key}}}"

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def _examples(house: Institution, settings: ConsentSettings, chinese: bool, tx: StoreTransaction) -> dict[str, str]:
    rules = in_force(tx.now.date())
    return {
        "institution": house.name if chinese else (house.name_en or house.name),
        "doctor": "王医师" if chinese else "Dr Wang",
        "licence": "110000000000001",
        "phone": house.phone,
        "fee": "人民币30.00元" if chinese else "CNY 30.00",
        "retention_years": str(rules.value("CN-14", "process_years")),
        "record_years": str(rules.value("CN-14", "record_years")),
        "shared_with": "市中心医院" if chinese else "City Hospital",
        "ethics_id": settings.ethics_id,
        "abroad": settings.abroad,
    }


def _changed(before: ConsentTemplate | None, after: ConsentTemplate | TemplateDraft) -> list[PartView]:
    return [
        PartView(
            kind=part.kind,
            key=part.key,
            sign=part.sign,
            changed=part.changed,
            lines=[LineView(sign=line.sign, text=line.text) for line in part.lines],
        )
        for part in diffing.compare(before, after)
    ]


def _draft_of(body: DraftContent) -> Draft:
    return Draft(
        key=body.key,
        locale=body.locale,
        title=body.title,
        sections=tuple(_section_of(part) for part in body.sections),
        questions=_questions_of(body.questions),
        legal_basis=tuple(body.legal_basis),
        major=body.major,
    )


def _section_of(part: SectionPart) -> TemplateSection:
    check = part.check
    return TemplateSection(
        part.key,
        part.title,
        part.body,
        tuple(part.statements),
        Comprehension(check.question, tuple(check.options), check.right, check.explanation) if check else None,
    )


def _questions_of(parts: Sequence[QuestionPart]) -> tuple[PurposeQuestion, ...]:
    return tuple(PurposeQuestion(part.purpose, part.question, part.if_refused, part.blocks_care) for part in parts)


async def begin(call: Call[DraftContent]) -> DraftView:
    return await _draft_view(call, await drafting.begin(call.tx, call.actor, _draft_of(call.body)))


async def change(call: Call[DraftContent]) -> DraftView:
    row = await drafting.change(call.tx, call.actor, call.path("draft"), _draft_of(call.body))
    return await _draft_view(call, row)


async def review(call: Call[DraftSeen]) -> DraftView:
    row = await drafting.review(call.tx, call.actor, call.path("draft"), call.body.sha256)
    return await _draft_view(call, row)


async def publish(call: Call[DraftSeen]) -> VersionRow:
    row = await drafting.publish(call.tx, call.actor, call.path("draft"), call.body.sha256)
    return await _version_row(call.tx, row)


async def discard(call: Call[Empty]) -> DraftRow:
    row = await drafting.discard(call.tx, call.actor, call.path("draft"))
    return await _draft_row(call, row)


async def show_settings(call: Call[NoBody]) -> SettingsView:
    return settings_view(await choices.settings_of(call.tx, call.me.institution_id))


async def change_settings(call: Call[SettingsBody]) -> SettingsView:
    body = call.body
    chosen = Choices(tuple(body.locales), tuple(body.purposes), body.ethics_id, body.abroad)
    return settings_view(await choices.change(call.tx, call.actor, chosen))


def settings_view(row: ConsentSettings) -> SettingsView:
    return SettingsView(
        locales=list(row.locales),
        purposes=list(row.purposes),
        ethics_id=row.ethics_id,
        abroad=row.abroad,
        choosable=[purpose for purpose in Purpose if purpose in CHOOSABLE],
    )


_READ = (Action.DRAFT_TEMPLATE, Action.REVIEW_TEMPLATE)

ROUTES: Table = (
    Route(
        method="GET",
        path="/api/templates",
        handler=list_texts,
        policy=staff(*_READ, own=Own.HOUSE),
        answer=TextList,
        summary="Texts, their versions and drafts",
    ),
    Route(
        method="GET",
        path="/api/templates/{template}",
        handler=show_version,
        policy=staff(*_READ, own=Own.TEMPLATE),
        query=CompareQuery,
        answer=TemplateView,
        summary="One version, as written and as a patient sees it, and what changed",
    ),
    Route(
        method="POST",
        path="/api/template-drafts",
        handler=begin,
        policy=staff(Action.DRAFT_TEMPLATE, own=Own.HOUSE),
        body=DraftContent,
        answer=DraftView,
        unit=Unit.WRITE,
        summary="Begin a draft",
    ),
    Route(
        method="GET",
        path="/api/template-drafts/{draft}",
        handler=show_draft,
        policy=staff(*_READ, own=Own.DRAFT),
        answer=DraftView,
        summary="A draft, what it lacks, what it changes",
    ),
    Route(
        method="POST",
        path="/api/template-drafts/{draft}",
        handler=change,
        policy=staff(Action.DRAFT_TEMPLATE, own=Own.DRAFT),
        body=DraftContent,
        answer=DraftView,
        unit=Unit.WRITE,
        summary="Change a draft; its reviews are void",
    ),
    Route(
        method="POST",
        path="/api/template-drafts/{draft}/review",
        handler=review,
        policy=staff(Action.REVIEW_TEMPLATE, own=Own.DRAFT),
        body=DraftSeen,
        answer=DraftView,
        unit=Unit.WRITE,
        summary="A second person finds exactly this text fit",
    ),
    Route(
        method="POST",
        path="/api/template-drafts/{draft}/publish",
        handler=publish,
        policy=staff(Action.PUBLISH_TEMPLATE, own=Own.DRAFT),
        body=DraftSeen,
        answer=VersionRow,
        unit=Unit.WRITE,
        summary="A third person publishes it",
    ),
    Route(
        method="POST",
        path="/api/template-drafts/{draft}/discard",
        handler=discard,
        policy=staff(Action.DRAFT_TEMPLATE, own=Own.DRAFT),
        body=Empty,
        answer=DraftRow,
        unit=Unit.WRITE,
        summary="Give a draft up",
    ),
    Route(
        method="GET",
        path="/api/consent-settings",
        handler=show_settings,
        policy=staff(*_READ, own=Own.HOUSE),
        answer=SettingsView,
        summary="What the institution asks for, in which languages",
    ),
    Route(
        method="POST",
        path="/api/consent-settings",
        handler=change_settings,
        policy=staff(Action.DRAFT_TEMPLATE, own=Own.HOUSE),
        body=SettingsBody,
        answer=SettingsView,
        unit=Unit.WRITE,
        summary="Change what the institution asks for",
    ),
)
