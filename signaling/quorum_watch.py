"""The quorum of each open panel, looked at every second: lost, grace, lapsed, regained; told in words and on record."""

import logging
from datetime import datetime

from clinic.consult import ConsultStatus
from clinic.panels import quorum
from clinic.panels.quorum import Turn, Watch
from signaling import panel_state
from signaling.live import Live
from signaling.room import LiveRoom

log = logging.getLogger(__name__)


async def sweep(live: Live, now: datetime) -> None:
    """Costs a comparison per room that is no panel."""
    for room in list(live.rooms.values()):
        if room.panel.terms is None or room.ended or room.consult.status is not ConsultStatus.IN_PROGRESS:
            continue
        await _look(live, room, now)
        live.sync(room)  # also: a chair that may be taken now


async def _look(live: Live, room: LiveRoom, now: datetime) -> None:
    panel = room.panel
    if panel.terms is None or panel.floor is None or panel.floor.opened_at is None:
        return
    before = panel.watch
    watch, turned = quorum.turn(before, panel_state.lacking(room), now, panel.terms.grace)
    panel.watch = watch
    try:
        if turned is Turn.LAPSED:
            async with live.db.begin() as tx:
                lapse = await quorum.mark(tx, room.consult, watch)
            panel.watch = Watch(watch.missing, watch.since, lapse.id)
        elif turned is Turn.REGAINED and before.lapse is not None:
            async with live.db.begin() as tx:
                await quorum.regain(tx, before.lapse)
    except Exception as error:
        panel.watch = before if turned is Turn.REGAINED else watch  # tried again with the next tick
        log.warning("quorum not noted", extra={"consult": room.consult.id, "error": type(error).__name__})
