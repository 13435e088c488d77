"""What must hold after every step of the ledger machine, whatever came before. A mixin of `test_ledger_machine`."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis.stateful import invariant

from clinic.consult import ConsultStatus, Seat, SeatState
from consent import gate, lifecycle
from consent.errors import ConsentMissing, RecordingNotPermitted
from consent.gate import OnWithdrawal, RecordingPolicy
from consent.records import ConsentAction, Purpose
from tests.support.builders import World

T = TypeVar("T")
PEOPLE = ("patient", "daughter", "interpreter", "doctor")
POLICIES = (RecordingPolicy(), RecordingPolicy(OnWithdrawal.STOP))


class Watched:
    """`said` is the model: the last word of each person on each purpose."""

    loop: asyncio.AbstractEventLoop
    world: World
    consult_id: str
    seats: dict[str, Seat]
    said: dict[tuple[str, Purpose], str]
    seen: dict[str, Any]

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(act)

    @invariant()
    def recording_follows_the_ledger(self) -> None:
        if hasattr(self, "seats"):
            for policy in POLICIES:
                self.ask_for_a_recording(policy)

    def ask_for_a_recording(self, policy: RecordingPolicy) -> None:
        consult = self.run(self.world.consult(self.consult_id))
        present = [seat for seat in map(self._row, PEOPLE) if seat.state is SeatState.ADMITTED]
        names = {self.seats[name].id: name for name in PEOPLE}
        records = self.run(self.world.records(consult))
        word = {names[seat.id]: self.said.get((names[seat.id], Purpose.REC_AV)) for seat in present}
        try:
            made = gate.recording_grant(
                consult, "r", present, records, policy=policy, now=self.world.clock(), beside=()
            )
        except RecordingNotPermitted:
            everybody = all(said == "yes" for said in word.values())
            patient = self.said.get(("patient", Purpose.REC_AV)) == "yes"
            assert not (everybody and patient and word and consult.status is ConsultStatus.IN_PROGRESS)
            return
        assert consult.status is ConsultStatus.IN_PROGRESS
        assert self.said["patient", Purpose.REC_AV] == "yes"
        assert made.seats == {seat.id for seat in present}
        for seat_id, name in names.items():
            if seat_id in made.recorded:
                assert word[name] == "yes"
            elif seat_id in made.seats:
                assert word[name] == "withdrawn"
                assert name not in ("patient", "doctor")
                assert policy.other_withdraws is OnWithdrawal.PRIVACY_INTERVAL

    @invariant()
    def a_year_on_nothing_rests_on_what_was_said(self) -> None:
        """Whatever was signed until now has run out by then."""
        if not hasattr(self, "seats"):
            return
        consult = self.run(self.world.consult(self.consult_id))
        records, over = self.run(self.world.records(consult)), self.world.clock() + timedelta(days=367)
        with pytest.raises(ConsentMissing):
            gate.require(records, consult, self.seats["patient"], now=over)
        present = [seat for seat in map(self._row, PEOPLE) if seat.state is SeatState.ADMITTED]
        with pytest.raises(RecordingNotPermitted):
            gate.recording_grant(consult, "r", present, records, policy=POLICIES[0], now=over, beside=())

    def _row(self, name: str) -> Seat:
        return self.run(self.world.seat(self.seats[name]))

    @invariant()
    def every_record_has_one_state_and_none_was_edited(self) -> None:
        if not hasattr(self, "seats"):
            return
        records = self.world.db.rows("consent_records")
        for record in records:
            lifecycle.overall(records, record, self.world.clock())
            known = self.seen.setdefault(record.id, record)
            assert known == record
            assert self.world.sealer.holds(record.institution_id, record.digest, record.seal)
        assert set(self.seen) == {record.id for record in records}
        assents = [record for record in records if record.action is ConsentAction.ASSENTED]
        assert all(not record.permitted for record in assents)

    @invariant()
    def media_follow_the_ledger(self) -> None:
        if not hasattr(self, "seats"):
            return
        consult = self.run(self.world.consult(self.consult_id))
        records = self.run(self.world.records(consult))
        try:
            gate.require(records, consult, self.seats["patient"], now=self.world.clock())
        except ConsentMissing:
            assert self.said.get(("patient", Purpose.TREAT)) != "yes"
        else:
            assert self.said[("patient", Purpose.TREAT)] == "yes"
