"""A yes that runs out during a consult: what stands on it stops, then it goes on record. The gates know by themselves;
this is for what they let in before.

Recording pauses until the person has signed again; the end of the treatment's consent ends the consult, as a
withdrawal does. Before the consult has begun nothing has to be stopped: the door is shut, and the page asks again.
"""

from datetime import datetime

from audit.errors import DuplicateOperation
from clinic.actor import Actor
from clinic.consult import ConsultStatus
from consent import effects, expiry, validity
from consent.effects import Effect
from consent.records import Purpose
from consent.validity import Lapse
from signaling import closing, consenting, joining, listening
from signaling.live import Live
from signaling.room import LiveRoom

ENDED = "consent_expired"


async def sweep(live: Live, now: datetime) -> None:
    """Every second; costs a comparison per room while nothing runs out."""
    for room in list(live.rooms.values()):
        if room.ended or room.lapse_at is None or now < room.lapse_at:
            continue
        found = validity.lapsed(room.records, room.heeded_at, now)
        room.heeded_at, room.lapse_at = now, validity.next_lapse(room.records, now)
        if found:
            await _lapse(live, room, found)


async def _lapse(live: Live, room: LiveRoom, found: tuple[Lapse, ...]) -> None:
    """Shut, then commit."""
    act = f"expired:{found[0].record_id}:{found[0].purpose}"
    if any(lapse.purpose is Purpose.REC_AV for lapse in found):
        live.recorder.bar(room.consult.id, act, "rec.person_unsigned")
    listening.shut(room)
    stopped = _stopped(live, room, found)
    ends = Effect.END_CONSULT in stopped and room.consult.status is ConsultStatus.IN_PROGRESS
    consult = room.consult

    async def commit() -> None:
        try:
            async with live.db.begin() as tx:
                await expiry.note(tx, consult, found)
                if ends:
                    await closing.conclude_withdrawn(tx, consult.id, ENDED)
        except DuplicateOperation:
            return

    async def settled() -> None:
        live.recorder.unbar(consult.id, act)
        await consenting.consent_changed(live, consult.id, found[0].seat_id)

    if ends:
        await closing.end_by_withdrawal(live, consult, commit, ENDED)
        live.recorder.unbar(consult.id, act)
        return
    gone = consenting.cut_off(live, room, stopped, ENDED)
    if await live.commit_restriction("expired", commit, settled):
        await settled()
    for seat_id in gone:
        await joining.depart(live, room, seat_id, Actor.system(consult.institution_id))


def _stopped(live: Live, room: LiveRoom, found: tuple[Lapse, ...]) -> frozenset[Effect]:
    """As at a withdrawal of the same purposes."""
    known = [(room.seats[lapse.seat_id], lapse.purpose) for lapse in found if lapse.seat_id in room.seats]
    policy = live.policy_of(room.consult)
    return frozenset(each for seat, purpose in known for each in effects.of(seat, purpose, policy, room.basis))
