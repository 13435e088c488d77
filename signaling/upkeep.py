"""What time does to live consults: lapsed leases, grace that runs out, consults everybody forgot."""

from collections.abc import Sequence
from datetime import datetime

from archive import intake
from clinic import sweeper
from clinic.actor import Actor
from clinic.consult import Consult, ConsultStatus, SeatState
from clinic.overlays import rules_for
from clinic.people import Role
from signaling import closing, expiring, joining, quorum_watch, waiting
from signaling.live import Live


async def tick(live: Live, now: datetime) -> None:
    """Every second: renew the leases of connections that live, let go of those that do not, end what grace is over,
    act on consents that ran out."""
    waiting.refresh_queues(live, now)
    await expiring.sweep(live, now)
    for room in list(live.rooms.values()):
        for attendance in room.presence:
            line = room.lines.get(attendance.line_id) if attendance.line_id is not None else None
            if line is not None and line.alive:
                room.presence.renew(attendance.seat_id, line.id, now)
        for seat_id, line_id in room.presence.lapsed(now):
            line = room.lines.get(line_id)
            if line is not None:
                joining.disconnected(live, line)
                line.close("lease")
            else:
                room.presence.lost(seat_id, line_id, now)
        for seat_id in room.presence.overdue(now):
            attendance_now = room.presence.get(seat_id)
            if attendance_now is not None and attendance_now.line_id is None:
                await joining.depart(live, room, seat_id, Actor.system(room.consult.institution_id))
    await quorum_watch.sweep(live, now)


async def signed_out(live: Live, staff_id: str, *, disabled: bool) -> None:
    """An account's logins were ended from outside: its sockets close. A disabled one is out of its calls at once;
    otherwise the seat has the usual grace for a new login."""
    for room in list(live.rooms.values()):
        for seat_id in [seat.id for seat in room.seats.values() if seat.person_id == staff_id]:
            line = room.line_of(seat_id)
            if disabled and seat_id in room.presence:
                joining.cut(live, room, seat_id, "account_disabled")
                room.whisper(seat_id, "removed", reason="account_disabled")
                room.hang_up(seat_id, "account_disabled")
                await joining.depart(live, room, seat_id, Actor.system(room.consult.institution_id))
            elif line is not None:
                joining.disconnected(live, line)
                line.close("signed_out")


async def restore(live: Live) -> None:
    """After a restart: people inside running consults are expected back within the grace."""
    async with live.db.read() as tx:
        running = [
            *await tx.consults.find(status=ConsultStatus.IN_PROGRESS),
            *await tx.consults.find(status=ConsultStatus.WAITING),
        ]
        inside = {consult.id: await tx.seats.find(consult_id=consult.id) for consult in running}
    now = live.clock()
    for consult in running:
        seats = [
            seat
            for seat in inside[consult.id]
            if seat.state in (SeatState.ADMITTED, SeatState.WAITING) and seat.role is not Role.DECLARED
        ]
        if not seats:
            continue
        room = await live.open(consult.id)
        for seat in seats:
            if seat.id not in room.presence:
                room.presence.expect(seat.id, now)
                if seat.state is SeatState.ADMITTED:
                    room.in_call.add(seat.id)
        if consult.status is ConsultStatus.IN_PROGRESS:
            live.media.open_room(consult.id, live.media_events)
            await live.people_changed(room)


async def sweep(live: Live, now: datetime, institution_ids: Sequence[str]) -> list[Consult]:
    """End forgotten consults: recorder first, then the rows, then the rooms. Returns the ended ones."""
    ended: list[Consult] = []
    for institution_id in institution_ids:
        occupied = live.occupied()
        for consult in await _forgotten(live, institution_id, now, occupied):
            await live.stop_recording(consult, "swept")
        async with live.db.begin() as tx:
            swept = await sweeper.sweep(tx, institution_id, live.occupied() | occupied)
            for consult in swept:
                if consult.over:
                    await intake.on_consult_over(tx, consult.id)
        for consult in swept:
            await closing.consult_changed(live, consult.id)
        ended += swept
    return ended


async def _forgotten(live: Live, institution_id: str, now: datetime, occupied: frozenset[str]) -> list[Consult]:
    async with live.db.read() as tx:
        institution = await tx.institutions.get(institution_id)
        rules = rules_for(institution, now)
        running = await tx.consults.find(institution_id=institution_id, status=ConsultStatus.IN_PROGRESS)
    return [item.consult for item in sweeper.forgotten(running, now, rules, occupied)]
