"""Why somebody does not take part: coded (HZ-19), in rows, on the trail and in the figures; old answers still count."""

import json
from pathlib import Path

import pytest

from clinic.actor import Actor
from clinic.errors import InvalidInput
from clinic.panels import answering, load, triaging
from clinic.panels.board import Side
from clinic.panels.requests import InvitedParty, PartyState
from clinic.panels.statistics import Refusals, from_rows, from_trail
from clinic.rulebook import RulesInvalid, in_force
from clinic.rulebook import load as load_rules
from tests.clinic.houses import Region, changed, triage
from tests.clinic.test_statistics import trail
from tests.support.builders import World
from tests.support.clock import START

CODES = in_force(START.date()).rules["HZ-19"].codes
WEB = Path(__file__).parents[2] / "web/src"


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_page_offers_the_reasons_of_the_rule_in_its_words(locale: str) -> None:
    shown = json.loads((WEB / f"locales/{locale}/requests.json").read_text("utf-8"))["no"]
    assert shown == {code: getattr(words, locale) for code, words in CODES.items()}
    offered = (WEB / "console/request-types.ts").read_text("utf-8")
    assert json.dumps(list(CODES)) in offered


def test_a_rule_set_without_another_reason_is_refused() -> None:
    source = json.loads((Path(__file__).parents[2] / "clinic/rules/cn-2022.json").read_text("utf-8"))
    del source["rules"]["HZ-19"]["codes"]["other"]
    with pytest.raises(RulesInvalid, match="HZ-19"):
        load_rules(json.dumps(source))


async def test_a_coded_reason_needs_no_words_and_another_one_does(at: Region) -> None:
    _, request = await at.asked(0, 1, 2)
    for code, words, field in (("other", "", "reason"), (None, "x", "reason"), ("bored", "没有兴趣", "reason_code")):
        with pytest.raises(InvalidInput) as refused:
            await triage(at, triaging.refuse, request.id, words, code=code)
        assert refused.value.field == field
    await triage(at, triaging.refuse, request.id, "", code="no_time")
    await triage(at, triaging.refuse, request.id, "停电", code="equipment", house=1)
    await triage(at, triaging.refuse, request.id, "没有专家", house=2)
    rows: list[InvitedParty] = at.parties(request.id)
    assert [(row.state, row.reason_code) for row in rows] == [
        (PartyState.REFUSED, "no_time"),
        (PartyState.REFUSED, "equipment"),
        (PartyState.REFUSED, "other"),
    ]
    async with at.db.read() as tx:
        shown = await load.statistics(tx, Side.OUT, at.coordinator)
    assert shown.reasons == (
        Refusals("equipment", 1, (("停电", 1),)),
        Refusals("no_time", 1, ()),
        Refusals("other", 1, (("没有专家", 1),)),
    )
    _, told = from_trail(trail(at.world), at.world.home.id)
    _, kept = from_rows(at.db.rows("panel_requests"), rows)
    assert sorted(each.why for each in told) == sorted(each.why for each in kept) == ["equipment", "no_time", "other"]


async def test_answers_of_before_count_without_a_code(at: Region) -> None:
    _, request = await at.asked(0)
    await triage(at, triaging.refuse, request.id, "专家外出")
    await changed(at, "invited_parties", at.party(request.id, 0).id, reason_code=None)
    async with at.db.read() as tx:
        shown = await load.statistics(tx, Side.OUT, at.coordinator)
    assert shown.reasons == (Refusals("", 1, (("专家外出", 1),)),)


async def test_an_expert_who_was_the_only_one_gives_the_reason_for_the_house(world: World) -> None:
    consult = (await world.book_panel()).consult
    for row in await world.ask(consult):
        async with world.db.begin() as tx:
            by = Actor.staff(await tx.staff.get(row.expert_id))
            answered, _ = await answering.answer_invitation(tx, row.id, by, False, None, "not_our_field")
        assert answered.refusal_reason == ""
    (party,) = world.db.rows("invited_parties")
    assert (party.state, party.reason_code) == (PartyState.REFUSED, "not_our_field")
