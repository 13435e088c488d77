"""What must hold of a region afterwards: no expert twice at one hour, figures equal to the trail, the log verifies."""

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from audit import reader, verify
from clinic.consult import ConsultStatus
from clinic.panels import statistics
from clinic.panels.records import InvitationState
from clinic.panels.requests import RequestState
from tests.soak.region import Region


async def no_expert_is_twice_at_one_hour(db: Any) -> int:
    """Every pair of one expert's hours, from the rows alone. Returns how many engagements were compared."""
    async with db.read() as tx:
        consults = {row.id: row for row in await tx.consults.find()}
        writings = {row.id for row in await tx.written_consults.find()}
        accepted = await tx.invitations.find(state=InvitationState.ACCEPTED)
    hours: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    gone = (ConsultStatus.CANCELLED, ConsultStatus.NO_SHOW)
    for row in accepted:
        consult = consults[row.consult_id]
        if consult.id not in writings and consult.status not in gone:
            hours[row.expert_id].append((consult.starts_at, consult.ends_at))
    for consult in consults.values():
        if consult.doctor_id in hours and consult.status not in gone and consult.id not in writings:
            hours[consult.doctor_id].append((consult.starts_at, consult.ends_at))
    compared = 0
    for who, spans in hours.items():
        spans.sort()
        for (_, ends), (starts, _) in pairwise(spans):
            compared += 1
            assert ends <= starts, f"{who} is twice at {starts}"
    return compared


async def rows_and_trail_say_what_was_done(db: Any, region: Region, counts: Counter[str]) -> int:
    """Three countings of the same month: as it was driven, from the rows, from the logs. Returns events read."""
    told: Counter[str] = Counter()
    read = 0
    for house in region.houses:
        home = house.institution.id
        async with db.read() as tx:
            events = await reader.events(tx, home)
            requests = await tx.panel_requests.find(institution_id=home)
            parties = await tx.invited_parties.find(institution_id=home)
        read += len(events)
        zone = house.institution.time_zone
        rows = statistics.figures(*statistics.from_rows(requests, parties), zone)
        trail = statistics.figures(*statistics.from_trail(events, home), zone)
        assert (rows.states, rows.whole, rows.months, rows.pairs) == (
            trail.states, trail.whole, trail.months, trail.pairs,
        ), home  # fmt: skip
        told.update(_of(events, {row.id for row in requests}))
    async with db.read() as tx:
        kept = Counter(row.status.value for row in await tx.consults.find())
        states = Counter(row.state for row in await tx.panel_requests.find())
        opinions = await tx.opinions.find()
    expected = {
        name: counts[name] for name in ("booked", "sent", "accepted", "refused", "opinions", "closed", "opened")
    }
    found = {name: told[name] for name in expected}
    assert found == expected, (found, expected)
    assert sum(kept.values()) == counts["booked"]
    assert (kept["closed"], kept["cancelled"]) == (counts["closed"], counts["cancelled"])
    assert (len(opinions), sum(row.dissent for row in opinions)) == (counts["opinions"], counts["dissent"])
    assert states[RequestState.DRAFT] == 0
    return read


def _of(events: list[Any], own: set[str]) -> Counter[str]:
    """The inviting house's own trail; the invited have copies of some of these events on theirs."""
    found: Counter[str] = Counter()
    names = {
        "visit.booked": "booked",
        "panel.requested": "sent",
        "opinion.signed": "opinions",
        "panel.opened": "opened",
    }
    for event in events:
        if event.outcome != "ok" or event.public.get("request", "") not in own | {""}:
            continue
        if event.code == "panel.answered":
            found[event.public["answer"]] += 1
        elif event.code == "visit.moved" and event.public["to"] == "closed":
            found["closed"] += 1
        elif event.code in names:
            found[names[event.code]] += 1
    return found


def the_log_verifies(database: Path, keys: Path) -> tuple[int, int]:
    """By the independent verifier. Returns leaves and rows checked."""
    lines = [line for line in (keys / "public.vkeys").read_text().splitlines() if line.strip()]
    report = verify.verify(database, None, lines, [])
    assert report.findings == [], [str(each) for each in report.findings[:5]]
    return report.leaves, report.rows
