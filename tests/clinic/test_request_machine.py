"""No order of drafting, sending, triage, answers, proposals, withdrawals and the clock reaches a panel by a shortcut,
books an expert twice at one time, takes more institutions than were wanted, or changes what was sent.

The machine drives the real use cases; its model is only what speaks against sending.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import booking
from clinic.actor import Actor
from clinic.booking import Booked
from clinic.consult import SeatState
from clinic.errors import AdmissionRefused, ClinicError
from clinic.panels import answering, proposing, settling, triaging
from clinic.panels.reasons import INVITED_LICENCE, NO_AGREEMENT, NO_CONSENT, UNWITNESSED
from clinic.panels.records import InvitationState
from clinic.panels.requests import OPEN, WAITING, PartyState, RequestState, Urgency
from clinic.panels.sending import Shared
from clinic.parties import agreements
from clinic.places import UNDONE, overlap
from tests.clinic.houses import Region, region
from tests.support.agreements import agree

_FIRST = st.sampled_from((0, 1))
_HOUSE = st.sampled_from((0, 1, 2))
_SOME = st.lists(_HOUSE, min_size=1, max_size=3, unique=True)
_ONE = st.sampled_from((0, 1))


async def _word(proposal_id: str, accept: bool, by: Actor, tx: Any) -> None:
    await proposing.answer_proposal(tx, proposal_id, accept, by, "等不及")


async def _answer(invitation_id: str, accept: bool, by: Actor, tx: Any) -> None:
    await answering.answer_invitation(tx, invitation_id, by, accept, "有手术")


class Requests(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.at: Region
        self.panels: list[Booked] = []
        self.lacking: dict[int, set[str]] = {0: set(), 1: set(), 2: set()}  # per house, by code
        self.sent: dict[str, tuple[str, tuple[str, ...]]] = {}  # request -> its document, the houses it asked

    def teardown(self) -> None:
        self.loop.close()

    def run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(act)

    @initialize()
    def begin(self) -> None:
        self.at = self.run(region())
        self.panels = [self.run(self.at.book(number)) for number in (0, 1)]

    def tried(self, act: Callable[[Any], Awaitable[Any]]) -> bool:
        """The act in its own transaction; False when it was refused, and then nothing of it is left."""

        async def inside() -> None:
            async with self.at.db.begin() as tx:
                await act(tx)

        try:
            self.run(inside())
        except (ClinicError, MissingRow):
            return False
        return True

    def requests(self, panel: int) -> list[Any]:
        rows = self.at.db.rows("panel_requests")
        return [row for row in rows if row.consult_id == self.panels[panel].consult.id]

    def latest(self, panel: int) -> str:
        rows = self.requests(panel)
        return str(rows[-1].id) if rows else "none"

    # what a request rests on comes and goes

    @rule(house=_HOUSE, code=st.sampled_from((NO_AGREEMENT, NO_CONSENT, UNWITNESSED, INVITED_LICENCE)))
    def lose_or_mend(self, house: int, code: str) -> None:
        lost = code not in self.lacking[house]
        self.lacking[house] ^= {code}
        if code == NO_AGREEMENT:
            self.run(self._agreement(house, lost))
        elif code == INVITED_LICENCE:
            self.run(self._licence(house, lost))

    async def _agreement(self, house: int, lost: bool) -> None:
        home, there = self.at.world.home.id, self.at.houses[house].id
        async with self.at.db.begin() as tx:
            if lost:
                row = list(await tx.cooperation_agreements.find(invited_id=there))[-1]
                await agreements.end(tx, row.id, "期满", self.at.houses[house].coordinator)
            else:
                await agree(tx, self.at.world.sealer, home, there)

    async def _licence(self, house: int, lost: bool) -> None:
        async with self.at.db.begin() as tx:
            row = await tx.institutions.get(self.at.houses[house].id)
            until = date(2020, 1, 1) if lost else date(2045, 12, 31)
            await tx.institutions.save(replace(row, licence_valid_to=until))
            await tx.append(AuditEvent(EventCode.INSTITUTION_CHANGED, row.id, "system"))

    # the inviting side

    @rule(panel=_FIRST, houses=_SOME, experts=st.integers(0, 2), urgent=st.booleans(), wanted=st.integers(0, 2))
    def draft(self, panel: int, houses: list[int], experts: int, urgent: bool, wanted: int) -> None:
        consult = self.panels[panel].consult
        urgency = Urgency.URGENT if urgent else Urgency.ROUTINE
        try:
            self.run(self.at.draft(consult, *houses, experts=experts, urgency=urgency, wanted=wanted))
        except ClinicError:
            states = {row.state for row in self.requests(panel)}
            assert not states <= {RequestState.DRAFT} or not self.run(self.at.world.consult(consult.id)).media_open

    @rule(panel=_FIRST)
    def send(self, panel: int) -> None:
        consult = self.run(self.at.world.consult(self.panels[panel].consult.id))
        request = next((row for row in self.requests(panel) if row.state is RequestState.DRAFT), None)
        named = [row for row in self.at.parties(request.id) if row.state is PartyState.NAMED] if request else []
        numbers = [self.number(row.invited_institution_id) for row in named]
        seen = frozenset({consult.doctor_id})
        words = tuple(
            Shared(house.id, "c" * 32, frozenset() if UNWITNESSED in self.lacking[n] else seen)
            for n, house in enumerate(self.at.houses)
            if NO_CONSENT not in self.lacking[n]
        )
        expected = {code for n in numbers for code in self.lacking[n]}
        expected -= {UNWITNESSED} if all(NO_CONSENT in self.lacking[n] for n in numbers) else set()
        try:
            sent = self.run(self.at.send(consult, words))
        except AdmissionRefused as refused:
            assert NO_CONSENT in expected or expected - {NO_CONSENT} <= set(refused.reasons)
            assert expected or {"panel.too_few_named", "panel.window_over"} & set(refused.reasons), refused.reasons
        except (ClinicError, MissingRow):
            assert request is None or not consult.media_open
        else:
            assert not {NO_AGREEMENT, NO_CONSENT, UNWITNESSED, INVITED_LICENCE} & expected
            self.sent[sent.id] = (sent.document, tuple(row.invited_institution_id for row in named))

    def number(self, house_id: str) -> int:
        return next(n for n, house in enumerate(self.at.houses) if house.id == house_id)

    @rule(panel=_FIRST)
    def withdraw(self, panel: int) -> None:
        by = Actor.staff(self.at.doctors[panel])
        self.tried(lambda tx: settling.withdraw(tx, self.panels[panel].consult.id, "病情变化", by))

    @rule(panel=_FIRST, dice=st.integers(0, 7))
    def cancel(self, panel: int, dice: int) -> None:
        if dice == 0:
            by = Actor.staff(self.at.doctors[panel])
            self.tried(lambda tx: booking.cancel(tx, self.panels[panel].consult.id, by, "patient_asked"))

    @rule(panel=_FIRST, accept=st.booleans())
    def answer_proposals(self, panel: int, accept: bool) -> None:
        by = Actor.staff(self.at.doctors[panel])
        for row in self.at.db.rows("panel_proposals"):
            if row.consult_id == self.panels[panel].consult.id and row.state.value == "open":
                self.tried(partial(_word, row.id, accept, by))

    # the invited side

    @rule(panel=_FIRST, house=_HOUSE, experts=st.lists(_ONE, min_size=1, max_size=2, unique=True), other=st.booleans())
    def assign(self, panel: int, house: int, experts: list[int], other: bool) -> None:
        theirs = self.at.houses[(house + 1) % 3 if other else house].experts
        ids = [theirs[each].id for each in experts]
        by = self.at.houses[house].coordinator
        done = self.tried(lambda tx: triaging.assign(tx, self.latest(panel), ids, None, by))
        assert not (done and other), "experts of another institution"

    @rule(panel=_FIRST, house=_HOUSE, accept=st.booleans())
    def house_answers(self, panel: int, house: int, accept: bool) -> None:
        by, request = self.at.houses[house].coordinator, self.latest(panel)
        if accept:
            self.tried(lambda tx: triaging.accept(tx, request, by))
        else:
            self.tried(lambda tx: triaging.refuse(tx, request, "没有专家", by))

    @rule(panel=_FIRST, house=_HOUSE, each=_ONE, accept=st.booleans())
    def expert_answers(self, panel: int, house: int, each: int, accept: bool) -> None:
        expert = self.at.houses[house].experts[each]
        by = Actor.staff(expert)
        for row in self.at.db.rows("invitations"):
            if row.expert_id == expert.id and row.consult_id == self.panels[panel].consult.id:
                self.tried(partial(_answer, row.id, accept, by))

    @rule(panel=_FIRST, house=_HOUSE, hours=st.integers(0, 3))
    def propose_time(self, panel: int, house: int, hours: int) -> None:
        starts = self.panels[panel].consult.starts_at + timedelta(minutes=30 * hours)
        until = starts + timedelta(hours=1)
        by, request = self.at.houses[house].coordinator, self.latest(panel)
        self.tried(lambda tx: proposing.propose_time(tx, request, starts, until, reason="门诊", by=by))

    @rule(panel=_FIRST, house=_HOUSE, each=_ONE)
    def propose_stand_in(self, panel: int, house: int, each: int) -> None:
        experts, by, request = self.at.houses[house].experts, self.at.houses[house].coordinator, self.latest(panel)
        one, other = experts[each].id, experts[1 - each].id
        self.tried(lambda tx: proposing.propose_stand_in(tx, request, one, other, reason="出差", by=by))

    @rule(minutes=st.sampled_from((1, 11, 16, 60 * 37, 60 * 49)))
    def time_passes(self, minutes: int) -> None:
        self.at.world.clock.advance(minutes=minutes)

        async def tick() -> None:
            async with self.at.db.read() as tx:
                due = await settling.due(tx)
            for request in due:
                async with self.at.db.begin() as tx:
                    if await settling.expire(tx, request.id) is None:
                        await settling.remind(tx, request.id)

        self.run(tick())
        for row in self.at.db.rows("panel_requests"):
            assert not settling.overdue(row, self.at.world.clock())

    # what is true whatever happened

    @invariant()
    def nobody_is_booked_twice(self) -> None:
        if not self.panels:
            return
        consults = {row.id: row for row in self.at.db.rows("consults") if row.status in UNDONE}
        taken: dict[str, list[tuple[datetime, datetime]]] = {}
        for row in self.at.db.rows("invitations"):
            if row.state is InvitationState.ACCEPTED and row.consult_id in consults:
                consult = consults[row.consult_id]
                for other in taken.get(row.expert_id, []):
                    assert not overlap(*other, consult.starts_at, consult.ends_at), "booked twice"
                taken.setdefault(row.expert_id, []).append((consult.starts_at, consult.ends_at))

    @invariant()
    def what_was_sent_stands(self) -> None:
        if not self.panels:
            return
        rows = {row.id: row for row in self.at.db.rows("panel_requests")}
        for request_id, row in rows.items():
            if row.state in (RequestState.DRAFT,) or row.sent_at is None:
                assert request_id not in self.sent
                continue
            document, houses = self.sent[request_id]
            assert row.document == document and hashlib.sha256(document.encode()).hexdigest() == row.digest
            said = json.loads(document)
            assert (said["reason"], said["aim"], said["summary"]) == (row.reason, row.aim, row.summary)
            assert {each["institution"] for each in said["invited"]} == set(houses)
            assert all(each["agreement"] and each["consent"] for each in said["invited"])

    @invariant()
    def answers_and_state_agree(self) -> None:
        if not self.panels:
            return
        for request in self.at.db.rows("panel_requests"):
            parties = self.at.parties(request.id)
            states = Counter(row.state for row in parties)
            accepted, waiting = states[PartyState.ACCEPTED], sum(states[each] for each in OPEN)
            asked = {row.invited_institution_id for row in parties if row.case_id}
            assert asked == set(self.sent.get(request.id, ("", ()))[1]), "asked without having been sent"
            assert (waiting > 0) == (request.state in WAITING)
            if request.state is RequestState.CONVENED:
                assert 1 <= accepted <= request.wanted
            elif request.state in WAITING:
                assert accepted < request.wanted
            else:
                assert accepted == 0

    @invariant()
    def seats_follow_invitations(self) -> None:
        if not self.panels:
            return
        for panel in self.panels:
            rows = [row for row in self.at.db.rows("invitations") if row.consult_id == panel.consult.id]
            sitting = Counter(row.expert_id for row in rows if row.state is InvitationState.ACCEPTED)
            experts = {row.id for house in self.at.houses for row in house.experts}
            seats = Counter(
                row.person_id
                for row in self.at.db.rows("seats")
                if row.consult_id == panel.consult.id
                and row.state is not SeatState.REMOVED
                and row.person_id in experts
            )
            assert sitting == seats and all(count == 1 for count in seats.values())

    @invariant()
    def both_sides_have_it(self) -> None:
        if not self.panels:
            return
        told: dict[str, set[str]] = {}
        for event in self.at.db.events:
            if event.code in (EventCode.PARTY_ANSWERED, EventCode.PARTY_RELEASED, EventCode.PROPOSAL_MADE):
                told.setdefault(event.public["act"], set()).add(event.institution_id)
        assert all(len(houses) == 2 and self.at.world.home.id in houses for houses in told.values())


TestRequests = Requests.TestCase
TestRequests.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)
