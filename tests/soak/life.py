"""One panel's life by the use cases, as it goes: booked, asked, answered, met or written, opinions, decision, close.

What happened is counted as it was driven (`Counts`), from nothing the server says, so that rows and trail can be held
against it afterwards. The patient's SHARE_PANEL is told to the gate as the edge tells it.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from clinic import booking, visit
from clinic.actor import Actor
from clinic.booking import Booked, NewConsult
from clinic.consult import ConsultKind, ConsultStatus, Seat
from clinic.errors import AdmissionRefused, DoctorBusy, IllegalMove
from clinic.panels import answering, deciding, finding, opining, presiding, reporting, requesting, sending, written
from clinic.panels.errors import NoQuorum
from clinic.panels.papers import missing_of, papers_of
from clinic.panels.records import Adoption, InvitationState
from clinic.panels.requests import Urgency
from clinic.people import Role, Staff
from tests.soak.region import House, Region
from tests.support.builders import CARDIOLOGY
from tests.support.proofs import prove

SLOT = timedelta(minutes=30)
FIRST, SLOTS = 1, 20  # from 09:00 in China (01:00 UTC), half hours


@dataclass(slots=True)
class Panel:
    booked: Booked
    house: House
    in_writing: bool
    accepted: list[Staff] = field(default_factory=list)
    chair: str | None = None
    seats: dict[str, Seat] = field(default_factory=dict)  # by expert


@dataclass(slots=True)
class Life:
    db: Any
    sealer: Any
    region: Region
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    calendar: dict[datetime, list[Panel]] = field(default_factory=dict)

    async def ask(self, today: datetime) -> Panel | None:
        """Book within three days, draft, send. None: nothing was free."""
        house = self.rng.choice(self.region.inviting)
        booked = await self._book(house, today)
        if booked is None:
            self.counts["no_hour"] += 1
            return None
        partners = self.rng.sample(house.partners, self.rng.choice((1, 1, 1, 2)))
        wished = {each.institution.id: self.rng.sample(each.experts, self.rng.choice((1, 2))) for each in partners}
        experts = [expert for row in wished.values() for expert in row]
        panel = Panel(booked, house, self.rng.random() < 0.1, chair=experts[0].id if len(experts) > 1 else None)
        urgent = self.rng.random() < 0.05
        new = requesting.NewRequest(
            reason="诊断不明",
            aim="明确治疗",
            summary="摘要",
            wanted_department=CARDIOLOGY,
            urgency=Urgency.URGENT if urgent else Urgency.ROUTINE,
            chair_id=panel.chair,
            parties=tuple(
                requesting.Named(house_id, tuple(each.id for each in row)) for house_id, row in wished.items()
            ),
        )
        by = Actor.seated(booked.doctor_seat)
        async with self.db.begin() as tx:
            await requesting.draft(tx, booked.consult.id, new, by)
            named = await finding.named(tx, booked.consult.id)
            words = tuple(sending.Shared(each, "c" * 32, frozenset({booked.consult.doctor_id})) for each in named)
            await sending.send(tx, self.sealer, booked.consult.id, sending.Supplied(words), by)
            if panel.in_writing:
                await written.ask(tx, booked.consult.id, "不需要视频", by)
        self.counts.update(("sent", *(("urgent",) if urgent else ()), *(("in_writing",) if panel.in_writing else ())))
        await self._answers(panel, experts)
        self.calendar.setdefault(booked.consult.starts_at, []).append(panel)
        return panel

    async def _book(self, house: House, today: datetime) -> Booked | None:
        doctor, who = self.rng.choice(house.doctors), self.rng.choice(house.patients)
        for _try in range(5):
            day = today.replace(hour=FIRST, minute=0) + timedelta(days=self.rng.randint(1, 3))
            start = day + SLOT * self.rng.randrange(SLOTS)
            new = NewConsult(
                ConsultKind.EXPERT_CONSULT, CARDIOLOGY, doctor.id, who.id, "请会诊", 0, start, start + SLOT, ()
            )
            try:
                async with self.db.begin() as tx:
                    booked = await booking.book(tx, new, Actor.staff(doctor))
            except (AdmissionRefused, DoctorBusy):
                self.counts["hour_taken"] += 1
            else:
                self.counts["booked"] += 1
                return booked
        return None

    async def _answers(self, panel: Panel, experts: list[Staff]) -> None:
        async with self.db.read() as tx:
            sent = await tx.invitations.find(consult_id=panel.booked.consult.id, state=InvitationState.SENT)
        people = {expert.id: expert for expert in experts}
        for invitation in sent:
            expert = people[invitation.expert_id]
            await self._answer(panel, invitation.id, expert, self.rng.random() < 0.9)
        if panel.in_writing and panel.accepted:
            async with self.db.begin() as tx:
                await written.begin(tx, panel.booked.consult.id, Actor.seated(panel.booked.doctor_seat))

    async def _answer(self, panel: Panel, invitation_id: str, expert: Staff, accept: bool) -> None:
        """Who is busy then says no; an institution that was quicker has closed the request for the rest."""
        try:
            async with self.db.begin() as tx:
                reason = None if accept else "时间冲突"
                _row, seat = await answering.answer_invitation(tx, invitation_id, Actor.staff(expert), accept, reason)
        except AdmissionRefused as error:
            assert "panel.expert_busy" in error.reasons, error.reasons
            self.counts["busy"] += 1
            await self._answer(panel, invitation_id, expert, False)
        except IllegalMove:
            self.counts["too_late"] += 1  # released before they answered
        else:
            self.counts["accepted" if accept else "refused"] += 1
            if seat is not None:
                panel.accepted.append(expert)
                panel.seats[expert.id] = seat

    async def meet(self, panel: Panel) -> None:
        """The hour has come: who comes meets, everybody who came signs, the doctor decides and closes."""
        consult_id, doctor_seat = panel.booked.consult.id, panel.booked.doctor_seat
        doctor = Actor.seated(doctor_seat)
        async with self.db.read() as tx:
            live = {seat.person_id for seat in await tx.seats.find(consult_id=consult_id) if seat.state != "removed"}
        panel.accepted = [each for each in panel.accepted if each.id in live]
        if panel.in_writing and panel.accepted:
            await self._papers(panel, panel.accepted)
            return
        came = [each for each in panel.accepted if self.rng.random() < 0.95]
        if not came:
            async with self.db.begin() as tx:
                await booking.cancel(tx, consult_id, doctor, "other")
            self.counts["cancelled"] += 1
            return
        async with self.db.begin() as tx:
            await prove(tx, await tx.staff.get(panel.booked.consult.doctor_id))
            await visit.enter(tx, doctor_seat.id)
            for expert in came:
                await visit.enter(tx, panel.seats[expert.id].id)
        await self._open(panel, came)
        async with self.db.begin() as tx:
            await visit.conclude(tx, consult_id, doctor)
        await self._papers(panel, came)

    async def _open(self, panel: Panel, came: list[Staff]) -> None:
        """Quorum as counted here: an expert, and the chair where one of those who accepted is it."""
        chairs = [each.id for each in panel.accepted if panel.seats[each.id].role is Role.CHAIR]
        enough = bool(came) and all(each in {expert.id for expert in came} for each in chairs)
        here = {panel.booked.doctor_seat.id, *(panel.seats[each.id].id for each in came)}
        try:
            async with self.db.begin() as tx:
                await presiding.open_panel(
                    tx, panel.booked.consult.id, Actor.seated(panel.booked.doctor_seat), frozenset(here)
                )
        except NoQuorum:
            assert not enough, "refused with a quorum"
            self.counts["no_quorum"] += 1
        else:
            assert enough, "opened without a quorum"
            self.counts["opened"] += 1

    async def _papers(self, panel: Panel, experts: list[Staff]) -> None:
        consult_id, doctor = (
            panel.booked.consult.id,
            Actor.staff(next(each for each in panel.house.doctors if each.id == panel.booked.consult.doctor_id)),
        )
        async with self.db.begin() as tx:
            for expert in experts:
                dissent = self.rng.random() < 0.1
                shared = {expert.institution_id}
                await opining.save_opinion(tx, consult_id, Actor.staff(expert), shared, "意见", dissent=dissent)
                await opining.sign_opinion(tx, self.sealer, consult_id, Actor.staff(expert), shared)
                self.counts.update(("opinions", *(("dissent",) if dissent else ())))
        await self._report(consult_id, experts)
        async with self.db.begin() as tx:
            await deciding.save_decision(tx, consult_id, doctor, Adoption.ADOPT, "同意", "治疗")
            await deciding.sign_decision(tx, self.sealer, consult_id, doctor)
        async with self.db.begin() as tx:
            closed = await visit.close(tx, consult_id, doctor)
        assert closed.status is ConsultStatus.CLOSED
        self.counts["closed"] += 1

    async def _report(self, consult_id: str, experts: list[Staff]) -> None:
        """By the chair who came; where none did, the papers say whether the rules want one."""
        async with self.db.begin() as tx:
            papers = await papers_of(tx, consult_id)
            if "report" not in await missing_of(tx, await tx.consults.get(consult_id), papers):
                return
            chair = next(each for each in experts if papers.chair in (None, each.id))  # none came: any who signed
            await reporting.save_report(tx, consult_id, Actor.staff(chair), "共同意见", "")
            await reporting.sign_report(tx, self.sealer, consult_id, Actor.staff(chair))
        self.counts["reports"] += 1
