"""Why a request between institutions goes no further: stable codes, told like a gate's (`AdmissionRefused`)."""

INCOMPLETE = "panel.incomplete"
WINDOW_OVER = "panel.window_over"
NO_INSTITUTION = "panel.no_institution"
TOO_FEW = "panel.too_few_named"
OWN_INSTITUTION = "panel.own_institution"
INVITED_LICENCE = "panel.invited_licence"
NO_AGREEMENT = "panel.no_agreement"
NO_CONSENT = "panel.consent_missing"
UNWITNESSED = "panel.consent_unwitnessed"
DEPARTMENT = "panel.department_out_of_scope"
ELSEWHERE = "panel.expert_elsewhere"
NO_EXPERT_ROLE = "panel.not_an_expert"
TOO_MANY_EXPERTS = "panel.too_many_experts"
CHAIR = "panel.chair_not_among"
CHAIR_TAKEN = "panel.chair_named"
UNASSIGNED = "panel.no_expert_assigned"
BUSY = "panel.expert_busy"
LATE = "panel.answer_late"

PANEL_REASONS = frozenset(
    {
        INCOMPLETE, WINDOW_OVER, NO_INSTITUTION, TOO_FEW, OWN_INSTITUTION, INVITED_LICENCE, NO_AGREEMENT, NO_CONSENT,
        UNWITNESSED, DEPARTMENT, ELSEWHERE, NO_EXPERT_ROLE, TOO_MANY_EXPERTS, CHAIR, CHAIR_TAKEN, UNASSIGNED, BUSY,
        LATE,
    }
)  # fmt: skip
