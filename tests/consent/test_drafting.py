"""Three people, one text: drafted, reviewed, published; nobody twice, nothing unseen."""

from dataclasses import replace
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import registration
from clinic.actor import Actor
from clinic.errors import InvalidInput, NotPermitted
from clinic.people import Role
from consent import choices, diffing, drafting, templates
from consent.choices import Choices
from consent.diffing import Sign
from consent.drafting import Draft
from consent.errors import (
    DraftChanged,
    DraftClosed,
    DraftUnchanged,
    NotReviewed,
    SameHands,
    WordingIncomplete,
)
from consent.records import Comprehension, DraftState, Purpose, PurposeQuestion, TemplateDraft, TemplateSection
from tests.support.builders import World, staff


def shipped(key: str = "visit.patient", locale: str = "zh") -> templates.Wording:
    return next(row for row in templates.shipped() if (row.key, row.locale) == (key, locale))


def draft(**changes: Any) -> Draft:
    base = shipped()
    values: dict[str, Any] = {
        "key": base.key,
        "locale": base.locale,
        "title": "线上复诊知情同意书（修订）",
        "sections": base.sections,
        "questions": base.questions,
        "legal_basis": base.legal_basis,
    }
    return Draft(**{**values, **changes})


class Office:
    """Runs one act of one person in one transaction."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def begin(self, by: Any, text: Draft) -> TemplateDraft:
        async with self.world.db.begin() as tx:
            return await drafting.begin(tx, Actor.staff(by), text)

    async def act(self, name: str, by: Any, row: TemplateDraft, *more: Any) -> Any:
        arguments = more or ((row.sha256,) if name in ("review", "publish") else ())
        async with self.world.db.begin() as tx:
            return await getattr(drafting, name)(tx, Actor.staff(by), row.id, *arguments)


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


async def test_drafted_by_one_reviewed_by_another_published_by_a_third(world: World, office: Office) -> None:
    row = await office.begin(world.archivist, draft())
    assert (row.state, row.authors, row.reviews) == (DraftState.OPEN, (world.archivist.id,), ())
    row = await office.act("review", world.approver, row)
    template = await office.act("publish", world.approver2, row)
    assert (template.version, template.published_by) == (2, world.approver2.id)
    async with world.db.read() as tx:
        assert (await templates.latest(tx, world.home.id, "visit.patient", "zh")).id == template.id
        done = await tx.consent_drafts.get(row.id)
    assert (done.state, done.template_id) == (DraftState.PUBLISHED, template.id)
    assert world.db.codes()[-4:] == [
        "consent.template_drafted",
        "consent.template_reviewed",
        "consent.template_published",
        "consent.template_draft_closed",
    ]
    assert world.db.events[-2].public["draft"] == row.id
    for name, by in (("review", world.approver), ("publish", world.approver), ("discard", world.archivist)):
        with pytest.raises(DraftClosed):
            await office.act(name, by, row)


async def test_author_reviewer_and_publisher_are_three_people(world: World, office: Office) -> None:
    async with world.db.begin() as tx:
        both = await registration.create_staff(
            tx, staff(world.home.id, "both", (Role.ADMIN, Role.APPROVER)), world.system
        )
    row = await office.begin(both, draft())
    with pytest.raises(NotReviewed):
        await office.act("publish", world.approver, row)
    with pytest.raises(SameHands):
        await office.act("review", both, row)
    row = await office.act("review", world.approver, row)
    with pytest.raises(SameHands):
        await office.act("review", world.approver, row)
    for by in (both, world.approver):
        with pytest.raises(SameHands):
            await office.act("publish", by, row)
    row = await office.act("review", world.approver2, row)
    template = await office.act("publish", world.approver, row)  # another one's review stands beside their own
    assert template.version == 2


async def test_a_change_voids_the_reviews_and_makes_an_author(world: World, office: Office) -> None:
    row = await office.begin(world.archivist, draft())
    row = await office.act("review", world.approver, row)
    changed = await office.act("change", world.admin, row, draft(title="再修订"))
    assert changed.reviews == ()
    assert changed.authors == (world.archivist.id, world.admin.id)
    assert world.db.events[-1].public["voided"] == 1
    with pytest.raises(DraftChanged):
        await office.act("publish", world.approver2, changed, row.sha256)
    with pytest.raises(NotReviewed):
        await office.act("publish", world.approver2, changed)
    with pytest.raises(InvalidInput):
        await office.act("change", world.admin, row, draft(locale="en"))


async def test_what_lacks_a_statement_is_not_reviewed_and_the_list_is_told(world: World, office: Office) -> None:
    base = shipped()
    short = tuple(section for section in base.sections if section.key not in ("ai", "fee"))
    row = await office.begin(world.archivist, draft(sections=short))
    async with world.db.read() as tx:
        assert await drafting.lacking(tx, row) == ("statement:fee", "statement:ai")
    with pytest.raises(WordingIncomplete) as refused:
        await office.act("review", world.approver, row)
    assert refused.value.reasons == ("statement:fee", "statement:ai")
    whole = await office.act("change", world.archivist, row, draft())
    async with world.db.read() as tx:
        assert await drafting.lacking(tx, whole) == ()


async def test_the_same_text_is_no_new_version(world: World, office: Office) -> None:
    row = await office.begin(world.archivist, draft(title=shipped().title))
    row = await office.act("review", world.approver, row)
    with pytest.raises(DraftUnchanged):
        await office.act("publish", world.approver2, row)
    assert (await office.act("discard", world.archivist, row)).state is DraftState.DISCARDED


async def test_who_may_do_what(world: World, office: Office) -> None:
    for by in (world.doctor, world.nurse, world.approver, world.experts[0]):
        with pytest.raises(NotPermitted):
            await office.begin(by, draft())
    row = await office.begin(world.archivist, draft())
    with pytest.raises(NotPermitted):
        await office.act("review", world.admin, row)
    reviewed = await office.act("review", world.approver, row)
    with pytest.raises(NotPermitted):
        await office.act("publish", world.admin, reviewed)
    async with world.db.begin() as tx:
        there = await registration.create_staff(
            tx, staff(world.partner.id, "other", (Role.APPROVER, Role.ADMIN)), Actor.system(world.partner.id)
        )
    for name in ("review", "publish", "discard"):
        with pytest.raises(MissingRow):
            await office.act(name, there, reviewed)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "visit.other"},
        {"locale": "ug"},
        {"title": "x" * 201},
        {"sections": shipped().sections * 3},
        {"questions": shipped().questions * 2},
        {"sections": (TemplateSection("x", "t", "b" * 4001),)},
        {"sections": (TemplateSection("", "t", "b"),)},
        {"sections": (TemplateSection("x", "t", "b", ("t",) * 41),)},
        {"sections": (TemplateSection("x", "t", "b", (), Comprehension("q", ("o",) * 7, 0, "e")),)},
        {"questions": (PurposeQuestion(Purpose.TREAT, "q" * 601, "r", True),)},
        {"legal_basis": ("b",) * 21},
    ],
)
async def test_a_draft_is_bounded(office: Office, world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await office.begin(world.archivist, draft(**changes))
    assert world.db.rows("consent_drafts") == []


async def test_a_further_language_is_configured_then_drafted(world: World, office: Office) -> None:
    async with world.db.begin() as tx:
        chosen = Choices(("zh", "en", "ug"), (Purpose.TEACH, Purpose.RESEARCH), "IRB-7", "")
        row = await choices.change(tx, Actor.staff(world.admin), chosen)
    assert (row.locales, row.purposes) == (("zh", "en", "ug"), (Purpose.TEACH, Purpose.RESEARCH))
    assert world.db.codes()[-1] == "consent.settings_changed"
    made = await office.begin(world.archivist, draft(locale="ug"))
    made = await office.act("review", world.approver, made)
    template = await office.act("publish", world.approver2, made)
    assert (template.locale, template.version) == ("ug", 1)
    async with world.db.begin() as tx:
        again = await choices.change(tx, Actor.staff(world.admin), Choices(("zh", "en"), ()))
        assert (await choices.settings_of(tx, world.home.id)) == again
        assert (await choices.settings_of(tx, world.partner.id)).locales == ("zh", "en")


@pytest.mark.parametrize(
    "chosen",
    [
        Choices(("zh",), ()),
        Choices(("zh", "en", "../x"), ()),
        Choices(("zh", "en", *(f"aa-{n}0" for n in range(11))), ()),
        Choices(("zh", "en"), (Purpose.TREAT,)),
        Choices(("zh", "en"), (Purpose.RESEARCH,)),
        Choices(("zh", "en"), (Purpose.XBORDER,), "", " "),
    ],
)
async def test_settings_that_cannot_be(world: World, chosen: Choices) -> None:
    with pytest.raises(InvalidInput):
        async with world.db.begin() as tx:
            await choices.change(tx, Actor.staff(world.admin), chosen)
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await choices.change(tx, Actor.staff(world.doctor), Choices(("zh", "en"), ()))


async def test_major_or_not(world: World, office: Office) -> None:
    made = []
    for number, major in enumerate((False, True)):
        row = await office.begin(world.archivist, draft(title=f"第{number}稿", major=major))
        row = await office.act("review", world.approver, row)
        made.append(await office.act("publish", world.approver2, row))
    async with world.db.read() as tx:
        first = (await templates.versions(tx, world.home.id, "visit.patient", "zh"))[0]
        assert not await drafting.is_major(tx, first, made[0])
        assert await drafting.is_major(tx, made[0], made[1])
        assert await drafting.is_major(tx, first, made[1])
        assert not await drafting.is_major(tx, made[1], made[1])


def test_the_difference_is_told_by_section_and_sentence() -> None:
    old = shipped()
    sections = list(old.sections)
    place = next(n for n, row in enumerate(sections) if row.key == "fee")
    sections[place] = replace(sections[place], body=sections[place].body.replace("另计", "另外计算"))
    dropped = sections.pop(2)
    sections.append(TemplateSection("extra", "补充", "一句。又一句。"))
    new = replace(old, sections=tuple(sections), questions=old.questions[:-1])
    parts = {(part.kind, part.key): part for part in diffing.compare(old, new)}
    assert parts["section", "fee"].changed
    assert [line.sign for line in parts["section", "fee"].lines if line.sign is not Sign.SAME] == [
        Sign.REMOVED,
        Sign.ADDED,
    ]
    assert not parts["section", "provider"].changed
    assert parts["section", dropped.key].sign is Sign.REMOVED
    assert [line.text for line in parts["section", "extra"].lines] == ["补充", "一句。", "又一句。"]
    assert parts["question", "xborder"].sign is Sign.REMOVED
    order = [part.key for part in diffing.compare(old, new) if part.kind == "section"]
    assert order.index(dropped.key) == 2
    assert all(part.sign is Sign.ADDED for part in diffing.compare(None, old))
    assert not any(part.changed for part in diffing.compare(old, old))
