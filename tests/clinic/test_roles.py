from dataclasses import replace

import pytest

from clinic.actor import Actor
from clinic.consult import Seat, SeatState
from clinic.errors import NotPermitted
from clinic.people import Role
from clinic.roles import MATRIX, READERS, READING, Action, Place, Reach, permits, reaches, require, resolve, unseparated
from tests.support.clock import START


def seat(role: Role, state: SeatState = SeatState.ADMITTED) -> Seat:
    return Seat("s1", "i1", "c1", role, "x", "i1", "p1", state, START, "system")


def actor(*roles: Role, institution: str = "i1") -> Actor:
    return Actor("p1", institution, roles)


def test_every_action_has_a_row_and_every_cell_a_meaning() -> None:
    assert set(MATRIX) == set(Action)
    assert all(reach for row in MATRIX.values() for reach in row.values())


@pytest.mark.parametrize(
    ("role", "action", "expected"),
    [
        (Role.PATIENT, Action.JOIN_MEDIA, {Reach.IN_CONSULT}),
        (Role.ATTENDING, Action.SEE_CHART, {Reach.IN_CONSULT, Reach.OWN}),
        (Role.ARCHIVIST, Action.PLAY_RECORDING, {Reach.APPROVED}),
        (Role.APPROVER, Action.APPROVE_DISPOSAL, {Reach.INSTITUTION}),
        (Role.ARCHIVIST, Action.APPROVE_DISPOSAL, set()),
        (Role.APPROVER, Action.PROPOSE_DISPOSAL, set()),
        (Role.ADMIN, Action.SEE_CHART, set()),
        (Role.AUDITOR, Action.ADMINISTER, set()),
        (Role.ATTENDING, Action.WITHDRAW_CONSENT, set()),
        (Role.FAMILY, Action.START_RECORDING, set()),
        (Role.OBSERVER, Action.OWN_PAGE, {Reach.OWN}),
        (Role.OBSERVER, Action.LEAVE, {Reach.OWN}),
        (Role.OBSERVER, Action.CHAT, set()),
        (Role.OBSERVER, Action.TELL_WHEREABOUTS, set()),
    ],
)
def test_cells_of_the_table(role: Role, action: Action, expected: set[Reach]) -> None:
    assert reaches(role, action) == expected
    assert permits(role, action) == bool(expected)


def test_nobody_both_proposes_and_approves() -> None:
    for one, other in (
        (Action.PROPOSE_DISPOSAL, Action.APPROVE_DISPOSAL),
        (Action.PLACE_HOLD, Action.LIFT_HOLD),
        (Action.REQUEST_ACCESS, Action.DECIDE_ACCESS),
    ):
        assert not set(MATRIX[one]) & set(MATRIX[other])


def test_a_visit_role_counts_only_with_a_seat() -> None:
    somewhere = Place("i1", "c1")
    assert resolve(actor(Role.ATTENDING), Action.ADMIT, somewhere) is None
    assert (
        resolve(actor(Role.ATTENDING), Action.ADMIT, replace(somewhere, seat=seat(Role.ATTENDING))) is Reach.INSTITUTION
    )
    removed = replace(somewhere, seat=seat(Role.CHAIR, SeatState.REMOVED))
    assert resolve(actor(Role.CHAIR), Action.ADMIT, removed) is None


def test_the_seat_decides_not_the_account() -> None:
    """An attending doctor who sits in as an expert acts as an expert."""
    place = Place("i1", "c1", seat=seat(Role.EXPERT), open=True)
    assert resolve(actor(Role.ATTENDING), Action.ADMIT, place) is None
    assert resolve(actor(Role.ATTENDING), Action.CHAT, place) is Reach.IN_CONSULT


def test_reach_in_consult_ends_with_it() -> None:
    place = Place("i1", "c1", seat=seat(Role.NURSE), open=True)
    assert resolve(actor(Role.NURSE), Action.ADMIT, place) is Reach.IN_CONSULT
    assert resolve(actor(Role.NURSE), Action.ADMIT, replace(place, open=False)) is None


def test_own_by_person_or_by_seat() -> None:
    place = Place("i1", "c1", owners=frozenset({"p1"}), seat=seat(Role.PATIENT))
    assert resolve(actor(), Action.SEE_CHART, place) is Reach.OWN
    by_seat = replace(place, owners=frozenset({"s1"}))
    assert resolve(actor(), Action.SEE_CHART, by_seat) is Reach.OWN
    assert resolve(actor(), Action.SEE_CHART, replace(place, owners=frozenset({"other"}))) is None


def test_approved_needs_the_approval_and_the_house() -> None:
    place = Place("i1", "c1", approved=True)
    assert resolve(actor(Role.ARCHIVIST), Action.PLAY_RECORDING, place) is Reach.APPROVED
    assert resolve(actor(Role.ARCHIVIST), Action.PLAY_RECORDING, replace(place, approved=False)) is None
    assert resolve(actor(Role.ARCHIVIST, institution="i2"), Action.PLAY_RECORDING, place) is None


def test_a_nurse_works_the_front_desk_without_a_seat() -> None:
    assert resolve(actor(Role.NURSE), Action.INVITE_GUEST, Place("i1", "c1")) is Reach.INSTITUTION
    assert resolve(actor(Role.NURSE), Action.ADMIT, Place("i1", "c1", open=True)) is None


def test_a_removed_guest_may_still_withdraw() -> None:
    place = Place("i1", "c1", owners=frozenset({"s1"}), seat=seat(Role.FAMILY, SeatState.REMOVED))
    assert resolve(actor(Role.FAMILY), Action.WITHDRAW_CONSENT, place) is Reach.OWN
    assert resolve(actor(Role.FAMILY), Action.CHAT, replace(place, open=True)) is None


def test_require_raises() -> None:
    with pytest.raises(NotPermitted):
        require(actor(Role.AUDITOR), Action.ADMINISTER, Place("i1"))
    assert require(actor(Role.ADMIN), Action.ADMINISTER, Place("i1")) is Reach.INSTITUTION


def test_auditors_and_regulators_change_nothing() -> None:
    for role in READERS:
        assert {action for action in Action if permits(role, action)} <= READING


def test_no_account_holds_both_halves_of_one_act() -> None:
    assert unseparated((Role.ARCHIVIST, Role.APPROVER)) == (Action.PROPOSE_DISPOSAL, Action.APPROVE_DISPOSAL)
    assert unseparated((Role.ARCHIVIST,)) is None
    assert all(unseparated((role,)) is None for role in Role)


def test_an_administrator_reaches_nothing_of_a_visit() -> None:
    clinical = (Action.SEE_CHART, Action.SEE_IMAGES, Action.PLAY_RECORDING, Action.JOIN_MEDIA, Action.BREAK_GLASS)
    assert not any(permits(Role.ADMIN, action) for action in clinical)
