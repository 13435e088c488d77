"""The role-action table (domain-rules section 7) and the one function that reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from clinic.actor import Actor
from clinic.consult import Seat, SeatState
from clinic.errors import NotPermitted
from clinic.people import CLINICIANS, GUESTS, Role


class Action(StrEnum):
    BOOK = "book"
    REGISTER_PATIENT = "register_patient"
    ADD_EVIDENCE = "add_evidence"
    REQUEST_CASE = "request_case"
    ANSWER_INVITATION = "answer_invitation"
    JOIN_MEDIA = "join_media"
    CHAT = "chat"
    SHARE_SCREEN = "share_screen"
    INVITE_GUEST = "invite_guest"
    ADMIT = "admit"
    REMOVE = "remove"
    END = "end"
    TERMINATE = "terminate"
    SEE_CHART = "see_chart"
    SIGN_CONSENT = "sign_consent"
    DECLARE_HELPER = "declare_helper"
    ACKNOWLEDGE_NOTICE = "acknowledge_notice"
    WITNESS_CONSENT = "witness_consent"
    WITHDRAW_CONSENT = "withdraw_consent"
    START_RECORDING = "start_recording"
    STOP_RECORDING = "stop_recording"
    PLAY_RECORDING = "play_recording"
    EXPORT = "export"
    WRITE_NOTE = "write_note"
    SIGN_NOTE = "sign_note"
    WRITE_OPINION = "write_opinion"
    SIGN_OPINION = "sign_opinion"
    SIGN_DECISION = "sign_decision"
    SEARCH_ARCHIVE = "search_archive"
    REQUEST_ACCESS = "request_access"
    DECIDE_ACCESS = "decide_access"
    PLACE_HOLD = "place_hold"
    LIFT_HOLD = "lift_hold"
    PROPOSE_DISPOSAL = "propose_disposal"
    APPROVE_DISPOSAL = "approve_disposal"
    DRAFT_TEMPLATE = "draft_template"
    REVIEW_TEMPLATE = "review_template"
    PUBLISH_TEMPLATE = "publish_template"
    ASK_CONSENT = "ask_consent"
    CORRECT_CONSENT = "correct_consent"
    APPROVE_EMERGENCY = "approve_emergency"
    READ_AUDIT = "read_audit"
    ADMINISTER = "administer"
    OWN_SESSION = "own_session"
    OWN_PAGE = "own_page"
    LEAVE = "leave"
    SEE_IMAGES = "see_images"
    ASK_HOLD = "ask_hold"
    ADVISE_TERMINATION = "advise_termination"
    BREAK_GLASS = "break_glass"
    DECIDE_BREAK_GLASS = "decide_break_glass"
    REVIEW_BREAK_GLASS = "review_break_glass"
    INVITE_OBSERVER = "invite_observer"
    PRIVACY_PAUSE = "privacy_pause"
    PRIVACY_RESUME = "privacy_resume"
    REQUEST_EXAM = "request_exam"
    ANSWER_EXAM = "answer_exam"
    END_EXAM = "end_exam"
    DECLARE_PERSON = "declare_person"
    ATTEST_ROOM = "attest_room"
    OPEN_SLOTS = "open_slots"
    NOTIFY = "notify"
    TRIAGE = "triage"
    TELL_WAITING = "tell_waiting"
    REASSIGN = "reassign"
    MARK_ABSENT = "mark_absent"
    SEE_QUEUE = "see_queue"
    TELL_WHEREABOUTS = "tell_whereabouts"
    ASK_CASE = "ask_case"
    DECIDE_CASE = "decide_case"
    READ_CASE = "read_case"
    ADD_IMAGES = "add_images"
    MEASURE_IMAGES = "measure_images"
    WRITE_REPORT = "write_report"
    SIGN_REPORT = "sign_report"
    MARK_REPORT = "mark_report"
    COUNTERSIGN = "countersign"
    NAME_STAND_IN = "name_stand_in"
    REFER = "refer"
    ANSWER_REFERRAL = "answer_referral"
    SET_TASK = "set_task"
    END_TASK = "end_task"
    SEE_COPIES = "see_copies"
    TAKE_COPY = "take_copy"
    MATCH_REQUEST = "match_request"
    TRIAGE_REQUEST = "triage_request"
    ANSWER_PROPOSAL = "answer_proposal"
    SEE_REQUESTS = "see_requests"
    KEEP_ENTRY = "keep_entry"
    SEE_DIRECTORY = "see_directory"
    SEE_AGREEMENTS = "see_agreements"
    DRAFT_AGREEMENT = "draft_agreement"
    SEAL_AGREEMENT = "seal_agreement"
    END_AGREEMENT = "end_agreement"
    MATCH_EXPERTS = "match_experts"
    SEE_STATISTICS = "see_statistics"
    PRESIDE = "preside"
    TAKE_CHAIR = "take_chair"
    SIDE_ROOM = "side_room"
    READ_FHIR = "read_fhir"


class Reach(StrEnum):
    """How far a permission goes."""

    INSTITUTION = (
        "institution"  # Y: in the own institution; for the roles of a visit, in the visits they hold a seat in
    )
    OWN = "own"  # O: what belongs to them
    IN_CONSULT = "in_consult"  # C: while they hold a seat in a consult that is not over
    APPROVED = "approved"  # A: only with another person's approval


_LETTERS = {"Y": Reach.INSTITUTION, "O": Reach.OWN, "C": Reach.IN_CONSULT, "A": Reach.APPROVED}
_COLUMNS = (
    Role.PATIENT,
    Role.GUARDIAN,
    Role.FAMILY,
    Role.INTERPRETER,
    Role.ATTENDING,
    Role.INVITING,
    Role.EXPERT,
    Role.CHAIR,
    Role.NURSE,
    Role.ARCHIVIST,
    Role.APPROVER,
    Role.REGULATOR,
    Role.AUDITOR,
    Role.ADMIN,
    Role.SYSTEM,
    Role.COORDINATOR,
)

# One row per action, one column per role in the order above; "-" no, Y O C A as in `Reach`, "CO" either of two.
_TABLE = """
                    PAT GRD FAM INT ATT INV EXP CHR NUR ARC APR REG AUD TAD SYS COO
book                O   O   -   -   Y   Y   -   -   Y   -   -   -   -   -   Y   -
register_patient    -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   Y   -
add_evidence        O   O   -   -   Y   Y   -   -   Y   -   -   -   -   -   Y   -
request_case        -   -   -   -   -   Y   -   -   -   -   -   -   -   -   -   -
answer_invitation   -   -   -   -   -   -   O   O   -   -   -   -   -   -   -   -
join_media          C   C   C   C   C   C   C   C   C   -   -   -   -   -   -   -
chat                C   C   C   C   C   C   C   C   C   -   -   -   -   -   -   -
share_screen        C   C   C   C   C   C   C   C   C   -   -   -   -   -   -   -
invite_guest        O   O   -   -   Y   Y   -   -   Y   -   -   -   -   -   -   -
admit               -   -   -   -   Y   Y   -   Y   C   -   -   -   -   -   -   -
remove              -   -   -   -   Y   Y   -   Y   C   -   -   -   -   -   -   -
end                 -   -   -   -   Y   Y   -   -   -   -   -   -   -   -   -   -
terminate           -   -   -   -   Y   Y   -   Y   -   -   -   -   -   -   -   -
see_chart           O   O   -   -   CO  O   C   C   C   -   -   A   -   -   O   -
sign_consent        O   O   O   O   -   -   -   -   -   -   -   -   -   -   -   -
declare_helper      O   O   O   O   -   -   -   -   -   -   -   -   -   -   -   -
acknowledge_notice  -   -   -   -   O   O   O   O   O   -   -   -   -   -   -   -
witness_consent     -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   -   -
withdraw_consent    O   O   O   O   -   -   -   -   Y   -   -   -   -   -   -   -
start_recording     -   -   -   -   Y   Y   -   Y   -   -   -   -   -   -   -   -
stop_recording      C   C   -   -   Y   Y   C   Y   -   -   -   -   -   -   -   -
play_recording      O   O   -   -   O   O   O   O   -   A   -   A   -   -   -   -
export              O   O   -   -   A   A   -   -   -   Y   A   A   -   -   A   -
write_note          -   -   -   -   Y   Y   -   -   -   -   -   -   -   -   -   -
sign_note           -   -   -   -   O   O   -   -   -   -   -   -   -   -   -   -
write_opinion       -   -   -   -   -   -   Y   Y   -   -   -   -   -   -   -   -
sign_opinion        -   -   -   -   -   -   O   O   -   -   -   -   -   -   -   -
sign_decision       -   -   -   -   Y   Y   -   -   -   -   -   -   -   -   -   -
search_archive      -   -   -   -   -   -   -   -   -   Y   Y   A   -   -   -   -
request_access      -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -   -
decide_access       -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -
place_hold          -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -   -
lift_hold           -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -
propose_disposal    -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -   -
approve_disposal    -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -
draft_template      -   -   -   -   -   -   -   -   -   Y   -   -   -   Y   -   -
review_template     -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -
publish_template    -   -   -   -   -   -   -   -   -   -   A   -   -   -   Y   -
ask_consent         -   -   -   -   C   C   -   C   C   -   -   -   -   -   -   -
correct_consent     -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   -   -
approve_emergency   -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -
read_audit          O   O   -   -   -   -   -   -   -   Y   Y   A   Y   Y   -   -
administer          -   -   -   -   -   -   -   -   -   -   -   -   -   Y   Y   -
own_session         -   -   -   -   O   O   O   O   O   O   O   O   O   O   -   O
own_page            O   O   O   O   -   -   -   -   -   -   -   -   -   -   -   -
leave               O   O   O   O   O   O   O   O   O   -   -   -   -   -   -   -
see_images          -   -   -   -   CO  O   C   C   -   -   -   A   -   -   -   -
ask_hold            O   O   -   -   O   O   -   -   -   -   -   A   -   -   -   -
advise_termination  -   -   -   -   -   -   C   -   C   -   -   -   -   -   -   -
break_glass         -   -   -   -   Y   Y   -   -   -   -   -   -   -   -   -   -
decide_break_glass  -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -
review_break_glass  -   -   -   -   -   -   -   -   -   -   -   -   Y   -   -   -
invite_observer     -   -   -   -   Y   Y   -   -   -   -   -   -   -   -   -   -
privacy_pause       C   C   C   C   C   C   C   C   C   -   -   -   -   -   -   -
privacy_resume      C   C   C   C   C   C   C   C   C   -   -   -   -   -   -   -
request_exam        -   -   -   -   Y   Y   C   C   -   -   -   -   -   -   -   -
answer_exam         C   C   -   -   -   -   -   -   -   -   -   -   -   -   -   -
end_exam            C   C   -   -   Y   Y   C   C   -   -   -   -   -   -   -   -
declare_person      -   -   -   -   Y   Y   C   C   C   -   -   -   -   -   -   -
attest_room         -   -   -   -   Y   Y   -   -   -   -   -   -   -   -   -   -
open_slots          -   -   -   -   Y   Y   -   -   Y   -   -   -   -   Y   Y   -
notify              -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   Y   -
triage              -   -   -   -   -   -   -   -   Y   -   -   -   -   -   -   -
tell_waiting        -   -   -   -   Y   Y   -   Y   Y   -   -   -   -   -   -   -
reassign            -   -   -   -   -   -   -   -   Y   -   -   -   -   -   Y   -
mark_absent         -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   -   -
see_queue           -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   -   -
tell_whereabouts    C   C   C   C   C   C   C   C   C   -   -   -   -   -   -   -
ask_case            -   -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -
decide_case         -   -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -
read_case           -   -   -   -   -   -   -   -   -   -   -   A   -   -   -   -
add_images          -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   -   -
measure_images      -   -   -   -   C   C   C   C   -   -   -   -   -   -   -   -
write_report        -   -   -   -   -   -   Y   Y   -   -   -   -   -   -   -   -
sign_report         -   -   -   -   -   -   Y   Y   -   -   -   -   -   -   -   -
mark_report         -   -   -   -   -   -   Y   Y   -   -   -   -   -   -   -   -
countersign         -   -   -   -   -   -   Y   -   -   -   -   -   -   -   -   -
name_stand_in       -   -   -   -   -   -   O   -   -   -   -   -   -   -   -   Y
refer               -   -   -   -   Y   Y   -   -   -   -   -   -   -   -   -   -
answer_referral     -   -   -   -   Y   -   Y   -   -   -   -   -   -   -   -   Y
set_task            -   -   -   -   Y   Y   C   C   -   -   -   -   -   -   -   -
end_task            -   -   -   -   Y   Y   -   -   Y   -   -   -   -   -   -   -
see_copies          -   -   -   -   -   -   -   -   -   Y   Y   -   -   -   -   -
take_copy           -   -   -   -   -   -   -   -   -   Y   -   -   -   -   -   -
match_request       -   -   -   -   -   -   -   -   -   -   -   -   -   -   -   Y
triage_request      -   -   -   -   -   -   -   -   -   -   -   -   -   -   -   Y
answer_proposal     -   -   -   -   -   Y   -   -   -   -   -   -   -   -   -   Y
see_requests        -   -   -   -   -   Y   Y   Y   -   -   -   -   -   -   -   Y
keep_entry          -   -   -   -   -   -   -   -   -   -   -   -   -   Y   -   Y
see_directory       -   -   -   -   Y   Y   Y   Y   Y   -   -   -   -   Y   -   Y
see_agreements      -   -   -   -   -   Y   -   -   -   -   -   -   -   Y   -   Y
draft_agreement     -   -   -   -   -   -   -   -   -   -   -   -   -   Y   -   Y
seal_agreement      -   -   -   -   -   -   -   -   -   -   -   -   -   Y   -   Y
end_agreement       -   -   -   -   -   -   -   -   -   -   -   -   -   Y   -   Y
match_experts       -   -   -   -   -   Y   -   -   -   -   -   -   -   -   -   Y
see_statistics      -   -   -   -   -   -   -   -   -   -   -   -   -   Y   -   Y
preside             -   -   -   -   -   C   -   C   -   -   -   -   -   -   -   -
take_chair          -   -   -   -   -   C   C   C   -   -   -   -   -   -   -   -
side_room           -   -   -   -   -   C   C   C   -   -   -   -   -   -   -   -
read_fhir           -   -   -   -   CO  O   C   C   C   -   -   A   -   -   O   -
"""
# Rows that no door names, each with where they are asked instead; a test holds the table against every route and event.
ASKED_WITHIN: Mapping[Action, str] = {
    Action.ACKNOWLEDGE_NOTICE: "joining: staff agree to the standing notice by coming in",
    Action.SHARE_SCREEN: "the ticket of a seat: what its media grants hold",
    Action.INVITE_OBSERVER: "adding a guest whose role is observer",
}
# Roles of the room that came later: what they may do, nothing else. A declared person acts through nobody's page.
_ROOM_ONLY: Mapping[Role, Mapping[Action, Reach]] = {
    Role.OBSERVER: {
        Action.JOIN_MEDIA: Reach.IN_CONSULT,
        Action.SIGN_CONSENT: Reach.OWN,
        Action.WITHDRAW_CONSENT: Reach.OWN,
        Action.OWN_PAGE: Reach.OWN,
        Action.LEAVE: Reach.OWN,
        Action.PRIVACY_PAUSE: Reach.IN_CONSULT,
        Action.PRIVACY_RESUME: Reach.IN_CONSULT,
    },
    Role.DECLARED: {},
}

# Read and never changed by these (domain-rules section 7): whatever they may do alters no record of a visit.
READERS = frozenset({Role.AUDITOR, Role.REGULATOR})
READING = frozenset(
    {
        Action.SEE_CHART,
        Action.SEE_IMAGES,
        Action.PLAY_RECORDING,
        Action.EXPORT,
        Action.SEARCH_ARCHIVE,
        Action.READ_AUDIT,
        Action.OWN_SESSION,
        Action.ASK_HOLD,
        Action.REVIEW_BREAK_GLASS,
        Action.ASK_CASE,
        Action.READ_CASE,
        Action.READ_FHIR,
    }
)
# Two halves of one act: no account holds both, so that proposer and approver are never the same hands.
SEPARATED = (
    (Action.PROPOSE_DISPOSAL, Action.APPROVE_DISPOSAL),
    (Action.PLACE_HOLD, Action.LIFT_HOLD),
    (Action.REQUEST_ACCESS, Action.DECIDE_ACCESS),
    (Action.ASK_CASE, Action.DECIDE_CASE),
)

VISIT_ROLES = (
    CLINICIANS | GUESTS | {Role.PATIENT, Role.DECLARED}
)  # held by a seat in one consult; the others by an account
DESK_ACTIONS = frozenset(
    {
        Action.BOOK,
        Action.ADD_EVIDENCE,
        Action.INVITE_GUEST,
        Action.WITHDRAW_CONSENT,
        Action.WITNESS_CONSENT,
        Action.CORRECT_CONSENT,
    }
    | {Action.NOTIFY, Action.TRIAGE, Action.TELL_WAITING, Action.REASSIGN, Action.MARK_ABSENT, Action.END_TASK}
)  # nurses, no seat


def _parse(table: str) -> dict[Action, dict[Role, frozenset[Reach]]]:
    parsed: dict[Action, dict[Role, frozenset[Reach]]] = {}
    for line in table.strip().splitlines()[1:]:
        name, *cells = line.split()
        parsed[Action(name)] = {
            role: frozenset(_LETTERS[letter] for letter in cell)
            for role, cell in zip(_COLUMNS, cells, strict=True)
            if cell != "-"
        }
    for role, granted in _ROOM_ONLY.items():
        for action, reach in granted.items():
            parsed[action][role] = frozenset({reach})
    return parsed


MATRIX: Mapping[Action, Mapping[Role, frozenset[Reach]]] = _parse(_TABLE)


@dataclass(frozen=True, slots=True)
class Place:
    """What an act is about. `owners`: the ids (person or seat) it belongs to; `seat`: the actor's own there."""

    institution_id: str
    consult_id: str | None = None
    owners: frozenset[str] = frozenset()
    seat: Seat | None = None
    open: bool = False  # the consult is not over
    approved: bool = False  # another person approved this very act


def unseparated(roles: tuple[Role, ...]) -> tuple[Action, Action] | None:
    """The two halves of one act that these roles together would give one person."""
    for one, other in SEPARATED:
        if any(role in MATRIX[one] for role in roles) and any(role in MATRIX[other] for role in roles):
            return one, other
    return None


def permits(role: Role, action: Action) -> bool:
    """Whether the table gives the role this action at all."""
    return role in MATRIX[action]


def reaches(role: Role, action: Action) -> frozenset[Reach]:
    """How far; empty when not at all."""
    return MATRIX[action].get(role, frozenset())


def resolve(actor: Actor, action: Action, place: Place) -> Reach | None:
    """The reach under which the actor may act there, or None."""
    for role, seated in _roles_there(actor, action, place):
        for reach in sorted(reaches(role, action)):
            if _covers(actor, reach, place, seated):
                return reach
    return None


def require(actor: Actor, action: Action, place: Place) -> Reach:
    """As `resolve`. Raises NotPermitted."""
    reach = resolve(actor, action, place)
    if reach is None:
        raise NotPermitted(action.value)
    return reach


def _roles_there(actor: Actor, action: Action, place: Place) -> list[tuple[Role, bool]]:
    """Roles that count, each with whether a seat gives it.

    In a consult a person is what their seat says, plus the offices of their account; a nurse also works the front desk.
    """
    if place.consult_id is None:
        return [(role, False) for role in actor.roles]
    offices = [
        role for role in actor.roles if role not in VISIT_ROLES or (role is Role.NURSE and action in DESK_ACTIONS)
    ]
    roles = [(role, False) for role in offices]
    if place.seat is not None and (place.seat.state is not SeatState.REMOVED or action is Action.WITHDRAW_CONSENT):
        roles.insert(0, (place.seat.role, True))
    return roles


def _covers(actor: Actor, reach: Reach, place: Place, seated: bool) -> bool:
    if reach is Reach.OWN:
        return actor.id in place.owners or (place.seat is not None and place.seat.id in place.owners)
    if reach is Reach.IN_CONSULT:
        return seated and place.open
    reached = seated or actor.institution_id == place.institution_id
    return reached and (reach is Reach.INSTITUTION or place.approved)
