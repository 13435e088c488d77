"""Why a consult may or may not open, gate by gate: read from the database, for the console and for the command line."""

from dataclasses import dataclass
from datetime import datetime

from clinic.admission import Admission, Present, Stage, facts_of, judge
from clinic.consult import Consult
from clinic.overlays import rules_for
from clinic.people import Role
from clinic.rulebook import Layer, RuleSet
from consent import desk, gate
from consent.errors import ConsentMissing
from huizhen.store.tables import StoreTransaction
from signaling import seen
from signaling.live import Live


@dataclass(frozen=True, slots=True)
class Explanation:
    rules: RuleSet
    verdict: Admission

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The overlays that lie over the national set here, each once."""
        named = {layer.version: layer for layer in (*self.rules.changed.values(), *self.rules.relaxed.values())}
        return tuple(named.values())


async def explained(
    tx: StoreTransaction, consult: Consult, now: datetime, stage: Stage, live: Live | None = None
) -> Explanation:
    """The verdict for the patient at `now`. Without `live` nobody is seen on camera and no doctor is elsewhere."""
    house = await tx.institutions.get(consult.institution_id)
    rules = rules_for(house, now)
    present = await _present(tx, consult, now, live)
    return Explanation(rules, judge(await facts_of(tx, consult, present, rules), rules, now, stage))


async def _present(tx: StoreTransaction, consult: Consult, now: datetime, live: Live | None) -> Present:
    house = await tx.institutions.get(consult.institution_id)
    seats = await tx.seats.find(consult_id=consult.id, role=Role.PATIENT)
    records = await desk.records_of(tx, consult.id)
    consented = bool(seats)
    for seat in seats:
        try:
            gate.require(records, consult, seat, house.recording_basis, now=now)
        except ConsentMissing:
            consented = False
    room = live.rooms.get(consult.id) if live is not None else None
    if live is None or room is None:
        return Present(consented=consented)
    return Present(
        consented=consented,
        doctor_elsewhere=any(seen.elsewhere(live, room, consult.doctor_id)),
        guardian_on_camera=seen.guardian_on_camera(room),
    )
