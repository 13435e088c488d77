"""The rules of a panel's room (HZ-30 to HZ-34) as one value."""

from dataclasses import dataclass
from datetime import timedelta

from clinic.rulebook import RuleSet


@dataclass(frozen=True, slots=True)
class PanelTerms:
    least_experts: int  # HZ-30; the chair counts
    chair_present: bool
    inviting_present: bool
    grace: timedelta  # HZ-31: without quorum so long, then it is marked
    chair_lost: timedelta  # HZ-32: the chair's connection lost so long
    expert_takes: bool  # who may take a lost chair
    inviting_takes: bool
    late_wait: bool  # HZ-33
    side_room: bool  # HZ-34
    side_inviting: bool


def terms_of(rules: RuleSet) -> PanelTerms:
    return PanelTerms(
        least_experts=rules.value("HZ-30", "least_experts"),
        chair_present=bool(rules.value("HZ-30", "chair")),
        inviting_present=bool(rules.value("HZ-30", "inviting_doctor")),
        grace=timedelta(seconds=rules.value("HZ-31", "grace_seconds")),
        chair_lost=timedelta(seconds=rules.value("HZ-32", "lost_seconds")),
        expert_takes=bool(rules.value("HZ-32", "first_in_order")),
        inviting_takes=bool(rules.value("HZ-32", "inviting_doctor")),
        late_wait=bool(rules.value("HZ-33", "experts_wait")),
        side_room=bool(rules.value("HZ-34", "allowed")),
        side_inviting=bool(rules.value("HZ-34", "inviting_doctor")),
    )
