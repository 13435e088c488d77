"""What outside authorities are asked about a panel's papers, and their word kept once."""

from dataclasses import replace

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from clinic.panels import countersigning, reporting
from clinic.panels.papers import papers_of
from clinic.people import Role
from consent import panel_papers
from consent.attesting import AttestationKind, Attested
from tests.clinic.test_panel_outcome import hire, trainee
from tests.support.builders import World
from tests.support.panels import meeting, report


async def test_each_signed_paper_in_the_capacity_of_its_signer(world: World) -> None:
    consult = await meeting(world)
    await trainee(world, world.experts[1])
    senior = Actor.staff(await hire(world, "senior", (Role.EXPERT,)))
    await world.opinion(consult, world.experts[0])
    await world.opinion(consult, world.experts[1], dissent=True)
    async with world.db.begin() as tx:
        assert [each.capacity for each in await panel_papers.sealed_papers(tx, consult.id)] == ["expert", "expert"]
        waiting = (await papers_of(tx, consult.id)).to_countersign
        await countersigning.countersign(tx, world.sealer, waiting[0].id, senior, True, "")
    await report(world, consult)
    async with world.db.begin() as tx:
        await reporting.mark_report(
            tx, world.sealer, consult.id, Actor.staff(world.experts[1]), False, "仍建议先行胃镜"
        )
    await world.decide(consult)
    async with world.db.begin() as tx:
        papers = await panel_papers.sealed_papers(tx, consult.id)
    assert [each.capacity for each in papers] == ["expert", "expert", "senior", "chair", "expert", "deciding"]
    assert len({each.digest for each in papers}) == len(papers)
    chair = papers[3].claim
    assert (chair.name, chair.digest, chair.capacity) == (world.experts[0].name, papers[3].digest, "chair")


async def test_a_word_is_kept_once_and_names_what_it_is_over(world: World) -> None:
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    async with world.db.begin() as tx:
        (paper,) = await panel_papers.sealed_papers(tx, consult.id)
        for token in ("first", "second"):
            kept = await panel_papers.keep(tx, paper, AttestationKind.TIMESTAMP, Attested(token, "CN=TSA"))
            assert kept.token == "first"
        word = await panel_papers.keep(tx, paper, AttestationKind.CERTIFICATE, Attested("jws", "CN=某人"))
    async with world.db.read() as tx:
        held = await panel_papers.held(tx, paper.id)
    assert set(held) == {AttestationKind.TIMESTAMP, AttestationKind.CERTIFICATE}
    assert word.digest == paper.digest != held[AttestationKind.TIMESTAMP].digest
    assert world.db.codes().count("opinion.attested") == 2


async def test_a_paper_that_names_no_signer_is_not_asked_about(world: World) -> None:
    """Signed before papers said who their signer was on that day."""
    consult = await meeting(world)
    await world.opinion(consult, world.experts[0])
    async with world.db.begin() as tx:
        (opinion,) = await tx.opinions.find(consult_id=consult.id)
        await tx.opinions.save(replace(opinion, author=None))
        await tx.append(AuditEvent(EventCode.OPINION_SIGNED, opinion.institution_id, "system", consult.id, opinion.id))
        assert await panel_papers.sealed_papers(tx, consult.id) == ()
