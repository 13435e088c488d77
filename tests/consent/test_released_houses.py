"""The patient stops sharing with an institution: its experts owe nothing, and the consult can still be brought to an
end (PIPL art. 15)."""

from dataclasses import replace

import pytest

from clinic import visit
from clinic.actor import Actor
from clinic.consult import Consult, ConsultKind, ConsultStatus, Seat
from clinic.errors import InvalidInput, NotTheChair, PapersMissing, SharingWithdrawn
from clinic.panels import countersigning, counting, dossier, lateness, reporting
from clinic.panels.counting import PanelPapers
from clinic.panels.papers import missing_of, papers_of
from clinic.panels.records import Adoption
from clinic.people import Role
from clinic.rulebook import in_force
from consent import desk, emergency
from consent.emergency import Emergency
from consent.records import Purpose
from tests.clinic.test_panel_outcome import hire, trainee
from tests.support.builders import World
from tests.support.clock import START
from tests.support.panels import meeting, report

OTHER = "o" * 32  # a second invited institution


async def patient_of(world: World, consult: Consult) -> Seat:
    async with world.db.read() as tx:
        return next(seat for seat in await tx.seats.find(consult_id=consult.id) if seat.role is Role.PATIENT)


async def shared_meeting(world: World) -> tuple[Consult, Seat]:
    consult = await meeting(world)
    patient = await patient_of(world, consult)
    await world.sign(patient)
    return consult, patient


async def papers(world: World, consult: Consult) -> PanelPapers:
    async with world.db.read() as tx:
        return await papers_of(tx, consult.id)


async def lacking(world: World, consult: Consult) -> tuple[str, ...]:
    async with world.db.read() as tx:
        return await missing_of(tx, await tx.consults.get(consult.id))


async def closed(world: World, consult: Consult) -> Consult:
    by = Actor.staff(world.clinic_doctor)
    async with world.db.begin() as tx:
        await visit.conclude(tx, consult.id, by)
        return await visit.close(tx, consult.id, by)


async def test_nobody_had_signed_the_decision_says_how_it_ends(world: World) -> None:
    consult, patient = await shared_meeting(world)
    assert (await papers(world, consult)).owing == {each.id for each in world.experts}
    await world.withdraw(patient, Purpose.SHARE_PANEL)
    found = await papers(world, consult)
    assert not found.owing and found.excused == {each.id for each in world.experts}
    assert await lacking(world, consult) == ("decision",)
    with pytest.raises(PapersMissing):
        await closed(world, consult)
    with pytest.raises(InvalidInput, match="adoption"):
        await world.decide(consult)  # there is nothing to adopt
    await world.decide(consult, Adoption.NOTHING)
    assert (await closed(world, consult)).status is ConsultStatus.CLOSED
    async with world.db.read() as tx:
        said = await dossier.dossier(tx, await tx.consults.get(consult.id))
    assert said["opinions"] == [] and said["report"] is None
    assert [row["institution"]["id"] for row in said["released"]] == [world.partner.id]
    assert world.db.codes().count("opinion.released") == 1


async def test_shared_again_it_is_owed_again(world: World) -> None:
    consult, patient = await shared_meeting(world)
    for times in (1, 2):
        await world.withdraw(patient, Purpose.SHARE_PANEL)
        assert (await papers(world, consult)).owing == frozenset()
        await world.sign(patient)
        assert (await papers(world, consult)).owing == {each.id for each in world.experts}
        codes = world.db.codes()
        assert (codes.count("opinion.released"), codes.count("opinion.restored")) == (times, times)
    assert len(world.db.rows("house_releases")) == 1
    for expert in world.experts:
        await world.opinion(consult, expert)
    await report(world, consult)
    await world.decide(consult)
    await closed(world, consult)
    async with world.db.read() as tx:
        assert "released" not in await dossier.dossier(tx, await tx.consults.get(consult.id))
    await world.withdraw(patient, Purpose.SHARE_PANEL)
    assert world.db.codes().count("opinion.released") == 2, "over: nothing changes any more"


async def test_other_purposes_release_nobody(world: World) -> None:
    _consult, patient = await shared_meeting(world)
    await world.withdraw(patient, Purpose.REC_AV)
    assert world.db.rows("house_releases") == []


async def test_what_was_signed_before_stays_and_counts(world: World) -> None:
    consult, patient = await shared_meeting(world)
    await world.opinion(consult, world.experts[0])
    await world.withdraw(patient, Purpose.SHARE_PANEL)
    assert await lacking(world, consult) == ("decision",), "nobody is left who may write a report"
    with pytest.raises(SharingWithdrawn):
        await report(world, consult)
    with pytest.raises(InvalidInput, match="adoption"):
        await world.decide(consult, Adoption.NOTHING)  # there is an opinion
    await world.decide(consult)
    await closed(world, consult)
    async with world.db.read() as tx:
        said = await dossier.dossier(tx, await tx.consults.get(consult.id))
    assert len(said["opinions"]) == 1


async def test_who_is_released_writes_nothing_more(world: World) -> None:
    consult, patient = await shared_meeting(world)
    await trainee(world, world.experts[1])
    senior, coordinator = await hire(world, "senior", (Role.EXPERT,)), await hire(world, "coo", (Role.COORDINATOR,))
    chair, second = (Actor.staff(each) for each in world.experts)
    for expert in world.experts:
        await world.opinion(consult, expert)
    (waiting,) = (await papers(world, consult)).to_countersign
    await world.withdraw(patient, Purpose.SHARE_PANEL)
    assert (await papers(world, consult)).to_countersign == ()
    assert await lacking(world, consult) == ("decision",)
    with pytest.raises(SharingWithdrawn):
        async with world.db.begin() as tx:
            await countersigning.countersign(tx, world.sealer, waiting.id, Actor.staff(senior), True, "")
    with pytest.raises(SharingWithdrawn):
        async with world.db.begin() as tx:
            by = Actor.staff(coordinator)
            await lateness.name_stand_in(tx, consult.id, world.experts[1].id, senior.id, by)
    await world.sign(patient)
    async with world.db.begin() as tx:
        await countersigning.countersign(tx, world.sealer, waiting.id, Actor.staff(senior), True, "")
    await report(world, consult)
    await world.withdraw(patient, Purpose.SHARE_PANEL)
    with pytest.raises(SharingWithdrawn):
        async with world.db.begin() as tx:
            await reporting.mark_report(tx, world.sealer, consult.id, second, True, "")
    with pytest.raises(SharingWithdrawn):
        async with world.db.begin() as tx:
            await reporting.save_report(tx, consult.id, chair, "改写", "")


async def test_nobody_is_reminded_of_what_is_not_owed(world: World) -> None:
    consult, patient = await shared_meeting(world)
    await world.withdraw(patient, Purpose.SHARE_PANEL)
    async with world.db.begin() as tx:
        await visit.conclude(tx, consult.id, Actor.staff(world.clinic_doctor))
        assert await lateness.chase(tx, world.home.id) == 0


async def test_an_approval_in_an_emergency_restores_what_a_correction_released(world: World) -> None:
    booked = await world.book_panel()
    for invitation in await world.ask(booked.consult):
        await world.answer(invitation)
    signed = await world.sign(booked.patient_seat)
    async with world.db.begin() as tx:
        by = Actor.staff(world.clinic_doctor)
        await desk.correct(tx, world.sealer, signed.id, reason="签错了人", operation_id="c" * 32, by=by)
    assert (await papers(world, booked.consult)).released == {world.partner.id}
    async with world.db.begin() as tx:
        found = Emergency("e" * 32, "昏迷，家属未到", "电话三次未接")
        await emergency.approve(tx, world.sealer, booked.consult.id, found, by=Actor.staff(world.approver))
    assert (await papers(world, booked.consult)).released == frozenset()


async def test_with_two_institutions_the_rest_goes_on(world: World) -> None:
    """The chair's institution is released: whoever else signed writes the report. Pure, from the rows."""
    consult, _patient = await shared_meeting(world)
    for expert in world.experts:
        await world.opinion(consult, expert)
    found, rules = await papers(world, consult), in_force(START.date())
    chair, second = (each.id for each in world.experts)
    mixed = replace(
        found,
        seats=tuple(
            replace(seat, home_institution_id=OTHER) if seat.person_id == second else seat for seat in found.seats
        ),
        opinions=tuple(
            replace(row, expert_institution_id=OTHER) if row.expert_id == second else row for row in found.opinions
        ),
    )
    assert mixed.reporters == {chair}
    gone = replace(mixed, released=frozenset({world.partner.id}))
    assert gone.reporters == {second} and counting.report_needed(gone, rules)
    assert gone.is_released(chair) and not gone.is_released(second)
    both = replace(mixed, released=frozenset({world.partner.id, OTHER}))
    assert both.reporters == frozenset() and not counting.report_needed(both, rules)
    unsigned = replace(gone, opinions=())
    assert unsigned.owing == {second} and unsigned.excused == {chair}
    assert counting.missing(unsigned, ("opinion", "report", "decision"), rules)[0] == "opinion"
    assert counting.missing(replace(both, opinions=()), ("opinion",), rules) == ("decision",), "a remote diagnosis too"
    with pytest.raises(NotTheChair):
        async with world.db.begin() as tx:
            await reporting.save_report(tx, consult.id, Actor.staff(world.experts[1]), "不是主持", "")
    assert consult.kind is ConsultKind.EXPERT_CONSULT
