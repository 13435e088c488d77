"""The waiting line at the console: who waits for whom, words to them, triage, another doctor, who did not come."""

from collections.abc import Sequence
from datetime import timedelta

from archive import intake
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import absence, line, reassigning, telling, triage
from clinic.access import authorise, chart_use
from clinic.actor import Actor
from clinic.errors import ClinicError, NotPermitted
from clinic.overlays import rules_for
from clinic.people import Role, Staff
from clinic.queueing import WaitingPlace, outlook, pace_of
from clinic.queueing import line as in_line
from clinic.roles import Action
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.consults import changed
from huizhen.api.route import Own, Route, Table, Unit, staff
from huizhen.api.shapes.base import Items, NoBody
from huizhen.api.shapes.consult import ConsultDetail
from huizhen.api.shapes.waiting import (
    AbsenceBody,
    AbsenceEvidence,
    Board,
    DoctorLine,
    QueueRow,
    ReassignBody,
    Span,
    TellBody,
    Told,
    TriageBody,
    TriageView,
    VitalsBody,
)
from huizhen.store.tables import StoreTransaction
from signaling import waiting

_BOOKED = timedelta(minutes=30)  # only to say how long one visit takes before anybody is there to ask


async def board(call: Call[NoBody]) -> Board:
    """Lines with somebody in them: a doctor sees the own, a nurse every one of the house."""
    tx = call.tx
    if Role.NURSE in call.me.roles:
        places = await tx.waiting_places.find(institution_id=call.me.institution_id, open=True)
    else:
        places = await tx.waiting_places.find(doctor_id=call.me.id, open=True)
    doctors = sorted({place.doctor_id for place in places} | ({call.me.id} if _leads(call.me) else set()))
    lines = []
    for doctor_id in doctors:
        own = [place for place in places if place.doctor_id == doctor_id]
        lines.append(await _line(call, await tx.staff.get(doctor_id), own))
    items = [row for each in lines for row in each.items]
    return Board(lines=lines, waiting=sum(row.present for row in items), ready=sum(row.ready for row in items))


def _leads(person: Staff) -> bool:
    return bool({Role.ATTENDING, Role.INVITING} & set(person.roles))


async def _line(call: Call[NoBody], doctor: Staff, places: Sequence[WaitingPlace]) -> DoctorLine:
    tx, live = call.tx, call.services.live
    house = await tx.institutions.get(doctor.institution_id)
    policy = rules_for(house, tx.now)
    running = await line.running(tx, doctor.id)
    lengths = await line.recent_lengths(tx, doctor.id, policy)
    ordered = in_line(places, tx.now, policy)
    rows, late = [], 0
    pace = pace_of(lengths, _BOOKED, policy)
    for place in ordered:
        consult = await tx.consults.get(place.consult_id)
        pace = pace_of(lengths, consult.ends_at - consult.starts_at, policy)
        found = outlook(places, place.id, pace, running=running, now=tx.now, policy=policy)
        room = live.rooms.get(place.consult_id)
        person = room.people.get(place.id) if room is not None else None
        assert found is not None
        late = found.late
        rows.append(
            QueueRow(
                consult_id=place.consult_id,
                seat=place.id,
                patient=render.patient_row(await tx.patients.get(consult.patient_id), house, tx.now),
                position=found.position,
                due_at=place.due_at,
                arrived_at=place.arrived_at,
                waited_minutes=max(0, int((tx.now - place.arrived_at).total_seconds() // 60)),
                present=place.present,
                online=place.id in live.waiting(place.consult_id),
                ready=person is not None and person.ready,
                urgent=place.urgent_at is not None,
                triaged=bool(await triage.of_consult(tx, place.consult_id)),
                low_minutes=found.low,
                high_minutes=found.high,
            )
        )
    return DoctorLine(
        doctor=render.doctor_row(doctor),
        department=doctor.department or "",
        department_label=render.department(doctor.department),
        here=waiting.doctor_here(live, doctor.id),
        late_minutes=late,
        open_visits=len(running),
        low_minutes=round(pace.low),
        high_minutes=round(pace.high),
        samples=pace.samples,
        items=rows,
    )


async def tell(call: Call[TellBody]) -> Told:
    """Committed, then said on the waiting pages."""
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        messages = await telling.tell(
            tx, call.path("consult"), call.body.text, call.actor, everybody=call.body.everybody
        )
    waiting.told(call.services.live, messages)
    return Told(told=len(messages))


async def hand_over(call: Call[TriageBody]) -> TriageView:
    body, consult_id = call.body, call.path("consult")
    new = triage.NewTriage(
        complaint=body.complaint,
        vitals=triage.Vitals(**body.vitals.model_dump()),
        red_flags=tuple(body.red_flags),
        advice=body.advice,
        handover=body.handover,
        urgent=body.urgent,
        urgent_reason=body.urgent_reason,
    )
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        note = await triage.hand_over(tx, call.services.sealer, consult_id, new, call.actor)
        doctor_id = (await tx.consults.get(consult_id)).doctor_id
        view = await _triage_view(tx, note)
    waiting.tell_queues(call.services.live, doctor_id)
    return view


async def triaged(call: Call[NoBody]) -> Items[TriageView]:
    """Read by who treats and by nurses of the house; the reading is on record."""
    consult = await call.tx.consults.get(call.path("consult"))
    actor: Actor = call.actor
    public = {"part": "triage"}
    if Role.REGULATOR in actor.roles:
        public |= await chart_use(call.tx, actor, consult)
    else:
        try:
            await authorise(call.tx, actor, Action.SEE_CHART, consult)
        except NotPermitted:
            await authorise(call.tx, actor, Action.TRIAGE, consult)
    notes = await triage.of_consult(call.tx, consult.id)
    if notes:
        event = AuditEvent(
            EventCode.CHART_VIEWED, consult.institution_id, actor.id, consult.id, consult.patient_id, public=public
        )
        await call.tx.append(event)
    return Items(items=[await _triage_view(call.tx, note) for note in notes])


async def _triage_view(tx: StoreTransaction, note: triage.TriageNote) -> TriageView:
    vitals = {name: getattr(note.vitals, name) for name in VitalsBody.model_fields}
    return TriageView(
        id=note.id,
        nurse=(await tx.staff.get(note.nurse_id)).name,
        complaint=note.complaint,
        vitals=VitalsBody(**vitals),
        red_flags=list(note.red_flags),
        advice=note.advice,
        handover=note.handover,
        urgent_reason=note.urgent_reason,
        signed_at=note.signed_at,
    )


async def reassign(call: Call[ReassignBody]) -> ConsultDetail:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        done = await reassigning.reassign(tx, consult_id, call.body.doctor_id, call.actor)
    await waiting.reassigned(call.services.live, done)
    return await changed(call, consult_id)


async def absence_evidence(call: Call[NoBody]) -> AbsenceEvidence:
    """What the trail says, and for each side why an absence may not be recorded (or that it may)."""
    consult = await call.tx.consults.get(call.path("consult"))
    await authorise(call.tx, call.actor, Action.MARK_ABSENT, consult)
    found = await absence.read(call.tx, consult)
    policy = rules_for(await call.tx.institutions.get(consult.institution_id), call.tx.now)
    refused: dict[str, str | None] = {}
    for who in absence.Who:
        try:
            absence.judge(who, consult, found, call.tx.now, policy)
        except ClinicError as error:
            refused[who.value] = error.code
        else:
            refused[who.value] = None
    recorded = await call.tx.absences.find(consult_id=consult.id)
    return AbsenceEvidence(
        booked_from=consult.starts_at,
        invited_at=found.invited_at,
        notice_state=found.notice_state,
        reminders=found.reminders,
        link_opened_at=found.link_opened_at,
        device_checked_at=found.device_checked_at,
        waited=[Span(since=since, until=until) for since, until in found.waited],
        waits=found.waits,
        doctor_inside=[Span(since=since, until=until) for since, until in found.doctor_inside],
        refused=refused,  # type: ignore[arg-type]
        recorded=recorded[-1].who if recorded else None,
        recorded_at=recorded[-1].recorded_at if recorded else None,
    )


async def mark_absent(call: Call[AbsenceBody]) -> ConsultDetail:
    consult_id = call.path("consult")
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await absence.mark(tx, call.services.sealer, consult_id, call.body.who, call.actor)
        await intake.on_consult_over(tx, consult_id)
    return await changed(call, consult_id)


ROUTES: Table = (
    Route(
        method="GET",
        path="/api/queue",
        handler=board,
        policy=staff(Action.SEE_QUEUE, own=Own.HOUSE),
        answer=Board,
        summary="Who waits for whom",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/tell",
        handler=tell,
        policy=staff(Action.TELL_WAITING, own=Own.CONSULT),
        body=TellBody,
        answer=Told,
        unit=Unit.NONE,
        summary="A line to the waiting",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/triage",
        handler=hand_over,
        policy=staff(Action.TRIAGE, own=Own.CONSULT),
        body=TriageBody,
        answer=TriageView,
        unit=Unit.NONE,
        summary="Sign a triage note and hand over to the doctor",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/triage",
        handler=triaged,
        policy=staff(Action.SEE_CHART, Action.TRIAGE, own=Own.CONSULT),
        answer=Items[TriageView],
        unit=Unit.WRITE,
        claims=False,
        summary="Triage notes; reading is on record",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/reassign",
        handler=reassign,
        policy=staff(Action.REASSIGN, own=Own.CONSULT),
        body=ReassignBody,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Another doctor of the department; the place is kept",
    ),
    Route(
        method="GET",
        path="/api/consults/{consult}/absence",
        handler=absence_evidence,
        policy=staff(Action.MARK_ABSENT, own=Own.CONSULT),
        answer=AbsenceEvidence,
        summary="Evidence of who came and who did not",
    ),
    Route(
        method="POST",
        path="/api/consults/{consult}/absence",
        handler=mark_absent,
        policy=staff(Action.MARK_ABSENT, own=Own.CONSULT),
        body=AbsenceBody,
        answer=ConsultDetail,
        unit=Unit.NONE,
        summary="Record who did not come, with sealed evidence",
    ),
)
