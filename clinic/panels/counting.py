"""Which opinions count, who still owes one, which papers are missing. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clinic.consult import Seat
from clinic.panels.outcome import Countersignature, JointReport, OpinionDue
from clinic.panels.records import DecisionNote, Opinion
from clinic.people import Role
from clinic.rulebook import RuleSet

EXPERTS = (Role.EXPERT, Role.CHAIR)


@dataclass(frozen=True, slots=True)
class PanelPapers:
    """Everything written of one consult's outcome, as the rows are."""

    opinions: tuple[Opinion, ...] = ()
    countersignatures: tuple[Countersignature, ...] = ()
    due: tuple[OpinionDue, ...] = ()
    seats: tuple[Seat, ...] = ()
    report: JointReport | None = None
    decision: DecisionNote | None = None
    in_writing: frozenset[str] = frozenset()  # experts of a panel without a room (HZ-45)
    released: frozenset[str] = frozenset()  # institutions the patient does not share with any more

    @property
    def standing(self) -> tuple[Opinion, ...]:
        """The latest of each expert; what a senior returned is kept, and stands for nothing."""
        latest = {row.expert_id: row for row in self.opinions if row.id not in self._returned}
        return tuple(latest.values())

    @property
    def counted(self) -> tuple[Opinion, ...]:
        """Signed, and where a trainee signed, countersigned. In the order they were begun."""
        agreed = {row.opinion_id for row in self.countersignatures if row.agrees}
        return tuple(row for row in self.standing if row.signed_at and (not row.countersign or row.id in agreed))

    @property
    def to_countersign(self) -> tuple[Opinion, ...]:
        """Signed by a trainee, no senior has said anything yet, and one still may."""
        said = {row.opinion_id for row in self.countersignatures}
        signed = tuple(row for row in self.standing if row.signed_at and row.countersign and row.id not in said)
        return tuple(row for row in signed if row.expert_institution_id not in self.released)

    @property
    def owing(self) -> frozenset[str]:
        """Experts who took part and have not signed; a named stand-in in the place of who was too late."""
        return self._unsigned(released=False)

    @property
    def excused(self) -> frozenset[str]:
        """Who would owe an opinion, had the patient not stopped sharing with their institution."""
        return self._unsigned(released=True)

    def _unsigned(self, *, released: bool) -> frozenset[str]:
        came = {seat.person_id for seat in self.taking_part if (seat.home_institution_id in self.released) == released}
        handed = {row.expert_id: row.stand_in_id for row in self.due if row.handed_at and row.stand_in_id}
        owing = {handed.get(person, person) for person in came if person is not None}
        signed = {row.expert_id for row in self.standing if row.signed_at}
        return frozenset(person for person in owing if person is not None and person not in signed)

    def is_released(self, person_id: str) -> bool:
        """Whether the patient stopped sharing with this expert's institution."""
        homes = {seat.home_institution_id for seat in self.seats if seat.person_id == person_id}
        return bool(homes & self.released)

    @property
    def handed_over(self) -> frozenset[str]:
        """Experts whose opinion somebody else gives now."""
        return frozenset(row.expert_id for row in self.due if row.handed_at)

    @property
    def taking_part(self) -> tuple[Seat, ...]:
        """Seats of the experts who came, in the room or in writing, or signed."""
        return tuple(seat for seat in self.seats if seat.role in EXPERTS and self._came(seat))

    @property
    def chair(self) -> str | None:
        """The chair who took part; the latest, where the chair was handed over."""
        chairs = [seat.person_id for seat in self.taking_part if seat.role is Role.CHAIR]
        return chairs[-1] if chairs else None

    @property
    def reporters(self) -> frozenset[str]:
        """Who may write the joint report: the chair who came; where none did, or none may any more, who signed."""
        if self.chair is not None and not self.is_released(self.chair):
            return frozenset({self.chair})
        return frozenset(row.expert_id for row in self.counted if row.expert_institution_id not in self.released)

    def _came(self, seat: Seat) -> bool:
        """In the room, or in writing, or by what they signed."""
        signed = {row.expert_id for row in self.opinions if row.signed_at}
        return seat.person_id is not None and (
            seat.admitted_at is not None or seat.person_id in self.in_writing | signed
        )

    @property
    def _returned(self) -> frozenset[str]:
        return frozenset(row.opinion_id for row in self.countersignatures if not row.agrees)


def missing(papers: PanelPapers, closing: Sequence[str], rules: RuleSet) -> tuple[str, ...]:
    """The papers this kind closes with that are not there yet, in order: opinion, countersign, report, decision."""
    found: list[str] = []
    if "opinion" in closing:
        found += missing_opinions(papers)
    if "report" in closing and report_needed(papers, rules) and not (papers.report and papers.report.signed_at):
        found.append("report")
    if ("decision" in closing or without_opinions(papers)) and not (papers.decision and papers.decision.signed_at):
        found.append("decision")
    return tuple(found)


def missing_opinions(papers: PanelPapers) -> tuple[str, ...]:
    """Every expert who was in the room signs, and one opinion counts; none is asked of who may not write any more."""
    found = []
    if papers.owing or not (papers.counted or papers.to_countersign or papers.excused):
        found.append("opinion")
    if papers.to_countersign:
        found.append("countersign")
    return tuple(found)


def without_opinions(papers: PanelPapers) -> bool:
    """The patient stopped sharing before anybody had signed: the inviting doctor alone says how it ends."""
    return bool(papers.excused) and not (papers.counted or papers.owing or papers.to_countersign)


def report_needed(papers: PanelPapers, rules: RuleSet) -> bool:
    """HZ-26: with a chair, or with several experts; while there is somebody who may write it."""
    if without_opinions(papers) or (papers.released and not papers.reporters):
        return False
    if papers.chair is not None and rules.value("HZ-26", "chair"):
        return True
    return len(papers.counted) >= rules.value("HZ-26", "experts")


def opinion_of(opinions: Iterable[Opinion], expert_id: str) -> Opinion | None:
    """The expert's own among these."""
    return next((row for row in opinions if row.expert_id == expert_id), None)
