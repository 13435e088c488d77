import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from audit.errors import MissingRow
from clinic import registration
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.errors import NotPermitted
from clinic.people import Role
from consent import statements, templates
from consent.errors import NotReady, WordingIncomplete
from consent.records import Purpose
from consent.standing import required_purposes
from tests.support.builders import World, institution


def source(name: str = "visit.patient.zh") -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files("consent.wording").joinpath(f"{name}.json").read_text("utf-8"))
    return data


@pytest.mark.parametrize("basis", ["consent", "legal_duty"])
def test_all_six_texts_say_everything_required(basis: str) -> None:
    shipped = templates.shipped(basis)
    assert {(wording.key, wording.locale) for wording in shipped} == {
        (key, locale) for key in statements.STATEMENTS for locale in templates.LOCALES
    }
    for wording in shipped:
        templates.check(wording, basis)


def test_both_languages_have_the_same_sections_and_placeholders() -> None:
    by_key = {(wording.key, wording.locale): wording for wording in templates.shipped()}
    for key in statements.STATEMENTS:
        zh, en = by_key[key, "zh"], by_key[key, "en"]
        assert [section.key for section in zh.sections] == [section.key for section in en.sections]
        assert [row.blocks_care for row in zh.questions] == [row.blocks_care for row in en.questions]


def test_only_treatment_and_sharing_block_care() -> None:
    for wording in templates.shipped():
        for row in wording.questions:
            assert row.blocks_care == (row.purpose in (Purpose.TREAT, Purpose.SHARE_PANEL))
    duty = next(row for row in templates.shipped("legal_duty") if (row.key, row.locale) == ("visit.patient", "zh"))
    assert duty.questions[1].blocks_care
    assert "依法必须" in duty.questions[1].if_refused


def _drop(key: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data["sections"] = [row for row in data["sections"] if row["key"] != key]

    return change


@pytest.mark.parametrize("key", statements.STATEMENTS["visit.patient"])
def test_a_missing_statement_is_named(key: str) -> None:
    data = source()
    for section in data["sections"]:
        section["statements"] = [tag for tag in section["statements"] if tag != key]
    with pytest.raises(WordingIncomplete) as refused:
        templates.parse(json.dumps(data))
    assert refused.value.reasons == (f"statement:{key}",)


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("advice.patient", "no_diagnosis"),
        ("family.patient", "agreement"),
        ("diagnosis.patient", "report"),
        ("diagnosis.patient", "responsibility"),
        ("panel.patient", "sharing"),
    ],
)
@pytest.mark.parametrize("locale", templates.LOCALES)
def test_each_kind_must_say_what_it_is(key: str, tag: str, locale: str) -> None:
    data = source(f"{key}.{locale}")
    for section in data["sections"]:
        section["statements"] = [each for each in section["statements"] if each != tag]
    with pytest.raises(WordingIncomplete) as refused:
        templates.parse(json.dumps(data))
    assert refused.value.reasons == (f"statement:{tag}",)


@pytest.mark.parametrize(
    ("key", "foreign"),
    [
        ("advice.patient.zh", ("复诊您", "会诊专家", "为我线上复诊")),
        ("family.patient.zh", ("第一次看的病", "为我线上复诊")),
        ("diagnosis.patient.zh", ("会诊",)),
        ("diagnosis.patient.en", ("consultation",)),
        ("advice.patient.en", ("the diagnosis and", "follow-up visit with")),
    ],
)
def test_no_words_of_another_kind_are_left_in_a_text(key: str, foreign: tuple[str, ...]) -> None:
    data = json.dumps(source(key), ensure_ascii=False)
    assert [words for words in foreign if words in data] == []


def test_everything_lacking_is_told_at_once() -> None:
    data = source()
    for key in ("emergency", "fee", "ai"):
        _drop(key)(data)
    with pytest.raises(WordingIncomplete) as refused:
        templates.parse(json.dumps(data))
    assert refused.value.reasons == ("statement:emergency", "statement:fee", "statement:ai", "comprehension:missing")


def _edit(path: str, **change: Any) -> Callable[[dict[str, Any]], None]:
    """`path`: "sections.emergency" or "questions.research"."""
    kind, key = path.split(".")

    def act(data: dict[str, Any]) -> None:
        name = "key" if kind == "sections" else "purpose"
        next(row for row in data[kind] if row[name] == key).update(change)

    return act


CHECK = {"question": "q", "options": ["a", "b"], "right": 0, "explanation": "e"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_edit("sections.emergency", body="请联系医师"), "statement:emergency"),  # a tag alone says nothing
        (_edit("sections.recording", body="会录像"), "statement:recording_kept"),
        (_edit("sections.rights", body=" "), "section:rights"),
        (_edit("sections.fee", title=""), "section:fee"),
        (lambda data: data["sections"].append(dict(data["sections"][0])), "section_twice:provider"),
        (_edit("sections.fee", check=CHECK), "comprehension:several"),
        (_edit("sections.emergency", check={**CHECK, "right": 2}), "comprehension:emergency"),
        (_edit("sections.emergency", check={**CHECK, "options": ["a"]}), "comprehension:emergency"),
        (_edit("sections.emergency", check={**CHECK, "explanation": ""}), "comprehension:emergency"),
        (lambda data: data["questions"].pop(1), "question:rec_av"),
        (lambda data: data["questions"].reverse(), "question_order:base"),
        (lambda data: data["questions"].append(dict(data["questions"][0])), "question_twice:treat"),
        (_edit("questions.teach", purpose="share_panel", question="{shared_with}"), "question_not_here:share_panel"),
        (_edit("questions.teach", if_refused=""), "question_empty:teach"),
        (_edit("questions.teach", blocks_care=True), "blocks_care:teach"),
        (_edit("questions.research", question="同意"), "question_names:research"),
        (lambda data: data.update(legal_basis=[""]), "legal_basis:missing"),
        (lambda data: data.update(title=" "), "title:missing"),
        (_edit("sections.fee", body="{fee}{price}"), "placeholder:price"),
    ],
)
def test_each_fault_has_its_name(change: Callable[[dict[str, Any]], object], told: str) -> None:
    data = source()
    change(data)
    with pytest.raises(WordingIncomplete) as refused:
        templates.parse(json.dumps(data))
    assert told in refused.value.reasons


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["sections"][0].update(body=" "),
        lambda data: data["sections"][0].update(body="{nonsense}"),
        lambda data: data["questions"][0].update(question=""),
        lambda data: data["questions"][1].update(blocks_care=True),
        lambda data: data.update(legal_basis=[]),
        lambda data: data.update(locale="fr"),
        lambda data: data.update(key="visit.other"),
        lambda data: data.pop("title"),
        lambda data: data["questions"][0].update(purpose="sell"),
    ],
)
def test_faulty_wording_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    data = source()
    change(data)
    with pytest.raises(WordingIncomplete):
        templates.parse(json.dumps(data))


async def test_publishing_is_idempotent_and_versions_count_up(world: World) -> None:
    async with world.db.begin() as tx:
        assert await templates.publish(tx, world.home.id, world.system) == ()
        wording = templates.parse(json.dumps(source()))
        better = replace(wording, title="线上复诊同意书")
        second = await templates.publish_wording(tx, world.home.id, better, world.system)
        current = await templates.latest(tx, world.home.id, "visit.patient", "zh")
    assert second is not None
    assert second.version == 2
    assert current.id == second.id
    assert world.db.events[-1].public["version"] == 2
    with pytest.raises(NotPermitted):
        async with world.db.begin() as tx:
            await templates.publish_wording(tx, world.home.id, wording, Actor.staff(world.admin))
    with pytest.raises(MissingRow):
        async with world.db.begin() as tx:
            await templates.publish_wording(tx, world.partner.id, wording, world.system)
    with pytest.raises(NotReady):
        async with world.db.begin() as tx:
            await templates.latest(tx, world.partner.id, "visit.patient", "zh")


async def test_texts_of_younger_kinds_are_published_where_others_are(world: World) -> None:
    by = world.system
    async with world.db.begin() as tx:
        assert await templates.lacks(tx, world.home) == []
        assert await templates.lacks(tx, world.partner) == []  # uses none of ours
        made = await registration.create_institution(tx, institution("新院", "New"))
        by = Actor.system(made.id)
        old = [row for row in templates.shipped() if row.key in ("visit.patient", "visit.guest", "panel.patient")]
        for wording in old:
            await templates.publish_wording(tx, made.id, wording, by)
        assert len(await templates.lacks(tx, made)) == 6
        await templates.publish_missing(tx, made.id, by)
        assert await templates.lacks(tx, made) == []
        assert (await templates.latest(tx, made.id, "advice.patient", "en")).version == 1


async def test_an_institution_by_legal_duty_gets_the_duty_wording(world: World) -> None:
    async with world.db.begin() as tx:
        made = await registration.create_institution(tx, institution("专科", "Duty", recording_basis="legal_duty"))
        published = await templates.publish(tx, made.id, Actor.system(made.id))
    text = next(row for row in published if (row.key, row.locale) == ("panel.patient", "en"))
    assert text.questions[2].blocks_care


async def test_rendering_needs_every_value(world: World) -> None:
    async with world.db.read() as tx:
        template = await templates.latest(tx, world.home.id, "visit.patient", "zh")
    with pytest.raises(NotReady):
        templates.render(template, {"institution": "x"})
    values = dict.fromkeys(templates.PLACEHOLDERS, "甲")
    one, other = templates.render(template, values), templates.render(template, {**values, "doctor": "乙"})
    assert not any("{" in section.body + section.title for section in one.sections)
    assert one.sha256 != other.sha256
    assert one.sha256 == templates.render(template, values).sha256


def test_a_text_from_before_the_tags_keeps_its_digest() -> None:
    """Members younger than a text are left out of its canonical bytes, or every old row would read as changed."""
    wording = templates.parse(json.dumps(source()))
    old = replace(wording, sections=tuple(replace(row, statements=(), check=None) for row in wording.sections))
    said = templates.document(old)["sections"]
    assert said == [{"key": row.key, "title": row.title, "body": row.body} for row in wording.sections]
    assert templates.fingerprint(old) != templates.fingerprint(wording)


def test_who_signs_what() -> None:
    assert templates.key_for(ConsultKind.FOLLOW_UP, Role.PATIENT) == "visit.patient"
    assert templates.key_for(ConsultKind.EXPERT_CONSULT, Role.PATIENT) == "panel.patient"
    keys = {templates.key_for(kind, Role.PATIENT) for kind in ConsultKind}
    assert len(keys) == len(ConsultKind), "each kind has a text of its own"
    shipped = {(wording.key, wording.locale) for wording in templates.shipped()}
    assert shipped >= {(key, locale) for key in keys for locale in templates.LOCALES}
    for kind in ConsultKind:
        asked = statements.QUESTIONS[str(templates.key_for(kind, Role.PATIENT))]
        assert set(required_purposes(kind, Role.PATIENT)) <= set(asked)
    assert templates.key_for(ConsultKind.EXPERT_CONSULT, Role.INTERPRETER) == "visit.guest"
    assert templates.key_for(ConsultKind.FOLLOW_UP, Role.ATTENDING) is None
