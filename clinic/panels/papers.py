"""The rows of one consult's outcome, read together."""

from clinic.consult import Consult
from clinic.overlays import rules_for
from clinic.panels import counting, in_writing
from clinic.panels.counting import PanelPapers
from clinic.transaction import ClinicTransaction


async def papers_of(tx: ClinicTransaction, consult_id: str) -> PanelPapers:
    """One journey to the database."""
    opinions, words = tx.opinions.query(consult_id=consult_id), tx.countersignatures.query(consult_id=consult_id)
    due, seats = tx.opinions_due.query(consult_id=consult_id), tx.seats.query(consult_id=consult_id)
    reports, decisions = tx.joint_reports.query(consult_id=consult_id), tx.decision_notes.query(consult_id=consult_id)
    releases = tx.house_releases.query(consult_id=consult_id)
    await tx.fetch(opinions, words, due, seats, reports, decisions, releases)
    return PanelPapers(
        tuple(opinions.rows),
        tuple(words.rows),
        tuple(due.rows),
        tuple(seats.rows),
        reports.last(),
        decisions.last(),
        await _in_writing(tx, consult_id),
        frozenset(row.released_id for row in releases.rows if row.standing),
    )


async def _in_writing(tx: ClinicTransaction, consult_id: str) -> frozenset[str]:
    """Who takes part where nobody meets (HZ-45)."""
    if await in_writing.of(tx, consult_id) is None:
        return frozenset()
    return await in_writing.taking_part(tx, await tx.consults.get(consult_id))


async def missing_of(tx: ClinicTransaction, consult: Consult, papers: PanelPapers | None = None) -> tuple[str, ...]:
    """Which of the papers the kind closes with are not signed yet."""
    rules = rules_for(await tx.institutions.get(consult.institution_id), tx.now)
    known = papers or await papers_of(tx, consult.id)
    return counting.missing(known, rules.kinds[consult.kind].closing, rules)
