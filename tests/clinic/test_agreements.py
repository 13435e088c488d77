"""Cooperation agreements: drafted by one side, sealed by both, in force within their dates, ended by either."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import registration
from clinic.actor import Actor
from clinic.consult import ConsultKind
from clinic.documents import canonical, digest
from clinic.errors import ClinicError, IllegalMove, InvalidInput, NotPermitted
from clinic.parties import agreements, sealing
from clinic.parties.agreements import Terms, choose
from clinic.parties.errors import NotYourTurn, TermOver, WordsChanged
from clinic.parties.records import AgreementState, CooperationAgreement, Liability
from clinic.people import Role
from tests.support.builders import World, institution

TODAY = date(2026, 3, 2)
CONSULT, DIAGNOSIS = ConsultKind.EXPERT_CONSULT, ConsultKind.REMOTE_DIAGNOSIS


def home(world: World) -> Actor:
    return Actor("coo-home", world.home.id, (Role.COORDINATOR,))


def partner(world: World) -> Actor:
    return Actor("coo-partner", world.partner.id, (Role.COORDINATOR,))


def terms(world: World, **changes: Any) -> Terms:
    values: dict[str, Any] = {
        "inviting_id": world.home.id,
        "invited_id": world.partner.id,
        "number": "会协〔2026〕3号",
        "purpose": "提高县域诊疗能力",
        "content": "邀请方提出申请，受邀方一个工作日内答复",
        "kinds": ("expert_consult",),
        "liability": "by_kind",
        "liability_text": "远程会诊由邀请方承担；争议由邀请方所在地处理",
        "fee_split": "每例 300 元，受邀方七成",
        "valid_from": TODAY,
        "valid_to": TODAY + timedelta(days=364),
    }
    return Terms(**values | changes)


async def drafted(world: World, by: Actor | None = None, **changes: Any) -> CooperationAgreement:
    async with world.db.begin() as tx:
        return await agreements.draft(tx, terms(world, **changes), by or home(world))


async def seal(world: World, agreement: CooperationAgreement, by: Actor, read: str = "") -> CooperationAgreement:
    async with world.db.begin() as tx:
        content = await sealing.words(tx, await tx.cooperation_agreements.get(agreement.id))
        return await sealing.seal(tx, world.sealer, agreement.id, read or digest(canonical(content)), by)


async def sealed(world: World, by: Actor | None = None, **changes: Any) -> CooperationAgreement:
    agreement = await drafted(world, by, **changes)
    first = by or home(world)
    await seal(world, agreement, first)
    return await seal(world, agreement, partner(world) if first.institution_id == world.home.id else home(world))


async def revised(world: World, before: CooperationAgreement, by: Actor, **changes: Any) -> CooperationAgreement:
    async with world.db.begin() as tx:
        return await agreements.revise(tx, before.id, terms(world, **changes), by)


async def ended(world: World, agreement: CooperationAgreement, by: Actor, reason: str = "合作结束") -> None:
    async with world.db.begin() as tx:
        await agreements.end(tx, agreement.id, reason, by)


async def dropped(world: World, agreement: CooperationAgreement, by: Actor) -> CooperationAgreement:
    async with world.db.begin() as tx:
        return await agreements.drop(tx, agreement.id, "条款不合适", by)


async def found(world: World, on: date = TODAY, kind: ConsultKind = CONSULT) -> CooperationAgreement | None:
    async with world.db.read() as tx:
        return await agreements.in_force(tx, world.home.id, world.partner.id, kind, on)


def told(world: World, code: str) -> list[str]:
    """On whose trails the event stands."""
    names = {world.home.id: "home", world.partner.id: "partner"}
    return sorted(names[event.institution_id] for event in world.db.events if event.code == code)


async def test_in_force_only_with_both_seals_and_within_its_days(world: World) -> None:
    agreement = await drafted(world)
    assert await found(world) is None
    assert (agreement.covered, agreement.stands_open) == ((CONSULT,), True)
    offered = await seal(world, agreement, home(world))
    assert offered.state is AgreementState.OFFERED
    assert await found(world) is None
    complete = await seal(world, agreement, partner(world))
    assert complete.state is AgreementState.SEALED
    assert not complete.stands_open
    assert await found(world) == complete
    assert await found(world, TODAY + timedelta(days=364)) == complete
    assert await found(world, TODAY - timedelta(days=1)) is None
    assert await found(world, TODAY + timedelta(days=365)) is None
    assert await found(world, kind=DIAGNOSIS) is None
    async with world.db.read() as tx:
        assert await agreements.in_force(tx, world.partner.id, world.home.id, CONSULT, TODAY) is None


async def test_each_house_keeps_its_own_sealed_copy_of_the_same_words(world: World) -> None:
    agreement = await sealed(world)
    async with world.db.read() as tx:
        ours, theirs = await agreements.seals_of(tx, agreement)
        content = await sealing.words(tx, agreement)
    assert (ours.institution_id, theirs.institution_id) == (world.home.id, world.partner.id)
    assert ours.document == theirs.document == canonical(content).decode()
    assert world.sealer.holds(world.home.id, ours.digest, ours.seal)
    assert world.sealer.holds(world.partner.id, theirs.digest, theirs.seal)
    assert content["inviting"] == {
        "id": world.home.id,
        "name": world.home.name,
        "licence": world.home.licence_number,
    }


async def test_a_house_that_changes_its_name_between_the_seals_seals_the_words_it_was_shown(world: World) -> None:
    agreement = await drafted(world)
    offered = await seal(world, agreement, home(world))
    async with world.db.begin() as tx:
        house = replace(await tx.institutions.get(world.partner.id), name="改名医院")
        await tx.institutions.save(house)
        await tx.append(AuditEvent(EventCode.INSTITUTION_CHANGED, house.id, "system", subject_id=house.id))
    await seal(world, offered, partner(world))
    async with world.db.read() as tx:
        first, second = await agreements.seals_of(tx, agreement)
    assert first.digest == second.digest


async def test_every_step_is_on_both_trails_once_it_is_offered(world: World) -> None:
    await ended(world, await sealed(world), partner(world))
    assert told(world, "party.agreement_drafted") == ["home"]
    for code in ("party.agreement_offered", "party.agreement_sealed", "party.agreement_ended"):
        assert told(world, code) == ["home", "partner"], code
    last = world.db.events[-1]
    assert last.private == {"reason": "合作结束"}
    assert last.public["state"] == "ended"


async def test_a_draft_is_its_authors_until_it_is_offered(world: World) -> None:
    agreement = await drafted(world)
    async with world.db.read() as tx:
        assert await agreements.listed(tx, partner(world)) == []
        assert await agreements.listed(tx, home(world)) == [agreement]
        with pytest.raises(MissingRow):
            await sealing.seal(tx, world.sealer, agreement.id, "", partner(world))
    await seal(world, agreement, home(world))
    async with world.db.read() as tx:
        assert [row.id for row in await agreements.listed(tx, partner(world))] == [agreement.id]
    stranger = Actor("x", "elsewhere", (Role.COORDINATOR,))
    with pytest.raises(MissingRow):
        await seal(world, agreement, stranger)


async def test_the_invited_side_may_draft_as_well(world: World) -> None:
    agreement = await sealed(world, by=partner(world))
    assert agreement.institution_id == world.partner.id
    assert agreement.other(world.home.id) == world.partner.id
    assert agreement.other(world.partner.id) == world.home.id
    assert await found(world) == agreement


async def test_each_side_seals_once_and_in_turn(world: World) -> None:
    agreement = await drafted(world)
    offered = await seal(world, agreement, home(world))
    with pytest.raises(NotYourTurn):
        await seal(world, offered, home(world))
    complete = await seal(world, offered, partner(world))
    with pytest.raises(IllegalMove):
        await seal(world, complete, partner(world))


async def test_nobody_seals_words_they_have_not_read(world: World) -> None:
    agreement = await drafted(world)
    with pytest.raises(WordsChanged):
        await seal(world, agreement, home(world), read="0" * 64)
    async with world.db.read() as tx:
        before = digest(canonical(await sealing.words(tx, agreement)))
    await revised(world, agreement, home(world), fee_split="每例 400 元")
    with pytest.raises(WordsChanged):
        await seal(world, agreement, home(world), read=before)


async def test_an_agreement_whose_days_are_over_takes_no_seal(world: World) -> None:
    agreement = await drafted(world, valid_to=TODAY)
    world.clock.advance(timedelta(days=1).total_seconds())
    with pytest.raises(TermOver):
        await seal(world, agreement, home(world))


async def test_only_a_draft_is_rewritten_in_place(world: World) -> None:
    agreement = await drafted(world)
    changed = await revised(world, agreement, home(world), number="会协〔2026〕4号")
    assert (changed.id, changed.version, changed.number) == (agreement.id, 1, "会协〔2026〕4号")
    offered = await seal(world, changed, home(world))
    with pytest.raises(IllegalMove):
        await revised(world, offered, home(world))


async def test_a_new_version_replaces_the_old_one_from_its_first_day(world: World) -> None:
    old = await sealed(world)
    later = TODAY + timedelta(days=30)
    draft = await revised(world, old, partner(world), valid_from=later, kinds=("expert_consult", "remote_diagnosis"))
    assert (draft.version, draft.series_id, draft.institution_id) == (2, old.id, world.partner.id)
    again = await revised(
        world, draft, partner(world), valid_from=later, fee_split="每例 500 元", kinds=("remote_diagnosis",)
    )
    assert (again.id, again.version, again.series_id) == (draft.id, 2, old.id)
    await seal(world, again, partner(world))
    new = await seal(world, again, home(world))
    before, after = await found(world, later - timedelta(days=1)), await found(world, later, DIAGNOSIS)
    assert before is not None
    assert (before.id, before.replaced_on) == (old.id, later)
    assert after == new
    assert await found(world, later) is None  # the new version does not cover this kind any more
    assert told(world, "party.agreement_replaced") == ["home", "partner"]


async def test_of_two_drafts_of_the_next_version_the_higher_stands(world: World) -> None:
    old = await sealed(world)
    second, third = await revised(world, old, home(world)), await revised(world, old, home(world))
    assert (second.version, third.version) == (2, 3)
    await seal(world, third, home(world))
    await seal(world, third, partner(world))
    with pytest.raises(IllegalMove):
        await seal(world, second, home(world))


async def test_a_later_version_that_begins_earlier_pulls_the_end_forward(world: World) -> None:
    old = await sealed(world)
    for first_day in (TODAY + timedelta(days=60), TODAY + timedelta(days=10), TODAY + timedelta(days=90)):
        draft = await revised(world, old, home(world), valid_from=first_day)
        await seal(world, draft, home(world))
        await seal(world, draft, partner(world))
    async with world.db.read() as tx:
        assert (await tx.cooperation_agreements.get(old.id)).replaced_on == TODAY + timedelta(days=10)


async def test_either_side_ends_it_with_all_its_versions(world: World) -> None:
    old = await sealed(world)
    draft = await revised(world, old, home(world), valid_from=TODAY + timedelta(days=60))
    await seal(world, draft, home(world))
    await seal(world, draft, partner(world))
    world.clock.advance(timedelta(days=5).total_seconds())
    await ended(world, old, partner(world))
    day = TODAY + timedelta(days=5)
    assert await found(world, day - timedelta(days=1)) is not None  # what was asked before still rested on it
    assert await found(world, day) is None
    assert await found(world, TODAY + timedelta(days=90)) is None
    with pytest.raises(IllegalMove):
        await ended(world, old, home(world))


async def test_ending_asks_for_a_reason(world: World) -> None:
    agreement = await sealed(world)
    with pytest.raises(InvalidInput, match="reason"):
        await ended(world, agreement, home(world), "")


async def test_a_draft_is_taken_back_and_an_offer_declined(world: World) -> None:
    draft = await dropped(world, await drafted(world), home(world))
    assert draft.state is AgreementState.DECLINED
    assert told(world, "party.agreement_declined") == ["home"]
    offer = await drafted(world)
    await seal(world, offer, home(world))
    declined = await dropped(world, offer, partner(world))
    assert declined.end_reason == "条款不合适"
    assert told(world, "party.agreement_declined") == ["home", "home", "partner"]
    with pytest.raises(IllegalMove):
        await dropped(world, await sealed(world), home(world))


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("valid_to", {"valid_to": TODAY - timedelta(days=1), "valid_from": TODAY}),
    ("valid_to", {"valid_from": TODAY - timedelta(days=9), "valid_to": TODAY - timedelta(days=1)}),
    ("valid_to", {"valid_to": date(2036, 3, 2)}),
    ("kinds", {"kinds": ()}),
    ("kinds", {"kinds": ("follow_up",)}),
    ("liability", {"liability": "nobody"}),
    ("number", {"number": " "}),
    ("fee_split", {"fee_split": ""}),
]


@pytest.mark.parametrize(("field", "changes"), WRONG)
async def test_terms_that_are_none_are_refused(world: World, field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        await drafted(world, **changes)
    assert refused.value.field == field


async def test_the_longest_term_is_ten_years_to_the_day(world: World) -> None:
    assert (await drafted(world, valid_to=date(2036, 3, 1))).valid_to == date(2036, 3, 1)


async def test_the_own_house_agrees_with_another_one(world: World) -> None:
    with pytest.raises(InvalidInput, match="invited_id"):
        await drafted(world, invited_id=world.home.id)
    with pytest.raises(InvalidInput, match="inviting_id"):
        await drafted(world, by=Actor("x", "elsewhere", (Role.COORDINATOR,)))
    with pytest.raises(MissingRow):
        await drafted(world, invited_id="nowhere")
    with pytest.raises(NotPermitted):
        await drafted(world, by=Actor.staff(world.clinic_doctor))


async def test_a_new_version_is_between_the_same_two(world: World) -> None:
    old = await sealed(world)
    async with world.db.begin() as tx:
        third = await registration.create_institution(tx, institution("第三医院", "Third"))
    with pytest.raises(InvalidInput, match="same two"):
        await revised(world, old, home(world), invited_id=third.id)
    draft = await revised(world, old, home(world))
    with pytest.raises(InvalidInput, match="same two"):
        await revised(world, draft, home(world), invited_id=third.id)


async def test_who_answers_for_harm_is_what_the_kind_says_unless_agreed(world: World) -> None:
    agreement = await drafted(world)
    assert agreement.liability_for(CONSULT) == "inviting"
    assert agreement.liability_for(DIAGNOSIS) == "shared"
    assert replace(agreement, liability=Liability.SHARED).liability_for(CONSULT) == "shared"


async def test_of_several_agreements_the_last_sealed_counts(world: World) -> None:
    first = await sealed(world)
    world.clock.advance(60)
    second = await sealed(world, number="会协〔2026〕9号")
    assert await found(world) == second
    assert choose([second, first], CONSULT, TODAY) == second
    assert choose([], CONSULT, TODAY) is None


_STEPS: dict[str, Callable[[World, CooperationAgreement, Actor], Any]] = {
    "seal": seal,
    "drop": dropped,
    "end": ended,
    "revise": revised,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(sorted(_STEPS)), st.booleans()), max_size=9))
async def test_whatever_is_tried_in_force_means_two_seals_of_two_houses(steps: list[tuple[str, bool]]) -> None:
    world = await World.create()
    agreement = await drafted(world)
    for name, ours in steps:
        try:
            await _STEPS[name](world, agreement, home(world) if ours else partner(world))
        except (ClinicError, MissingRow):
            continue
    valid = await found(world)
    async with world.db.read() as tx:
        row = await tx.cooperation_agreements.get(agreement.id)
        seals = await agreements.seals_of(tx, row)
    houses = {each.institution_id for each in seals}
    assert len(seals) == len(houses)
    assert (valid is not None and valid.id == row.id) == (row.state is AgreementState.SEALED and len(houses) == 2)
