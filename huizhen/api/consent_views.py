"""Consent at a glance: acts and helpers as the console shows them."""

import json
from collections.abc import Sequence

from clinic.consult import Seat
from consent.attesting import attestable
from consent.companions import Companion
from consent.records import ConsentRecord
from huizhen import masks
from huizhen.api.shapes.consult import CompanionView, ConsentSigned, ConsentView


def record_view(record: ConsentRecord, foreign: bool) -> ConsentView:
    """`foreign`: for another house before the patient shares with it, names are masked."""
    typed = json.loads(record.evidence).get("signer", {}).get("typed_name", "")
    return ConsentView(
        paper=attestable(record),
        id=record.id,
        seat=record.seat_id,
        action=record.action,
        permitted=list(record.permitted),
        refused=list(record.refused),
        capacity=record.capacity.value,
        locale=record.locale,
        recorded_at=record.recorded_at,
        digest=record.digest,
        signer=masks.name(typed) if foreign and typed else typed,
    )


def companion_views(rows: Sequence[Companion], foreign: bool) -> list[CompanionView]:
    """The newest word of each seat."""
    newest = {row.seat_id: row for row in rows}
    return [
        CompanionView(
            seat=row.seat_id,
            present=row.present,
            name=masks.name(row.name) if foreign and row.name else row.name,
            relation=row.relation,
            in_call=row.in_call,
            permits_recording=row.permits_recording,
            recorded_at=row.recorded_at,
        )
        for row in newest.values()
    ]


def last_of(records: Sequence[ConsentRecord], seat: Seat | None) -> ConsentSigned | None:
    mine = [record for record in records if seat is not None and record.seat_id == seat.id]
    if not mine:
        return None
    return ConsentSigned(at=mine[-1].recorded_at, action=mine[-1].action, capacity=mine[-1].capacity.value)
