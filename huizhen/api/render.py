"""Domain rows as the shapes of docs/protocol.md that several areas show."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from audit import reader
from clinic.calendar import local_date
from clinic.consult import Consult, Seat, SeatState
from clinic.people import Institution, Patient, Staff
from consent.records import ConsentRecord, Purpose
from consent.standing import Standing, overview, required_purposes, standing
from consent.validity import in_force
from huizhen import departments, masks, qr
from huizhen.api.shapes.base import Label
from huizhen.api.shapes.consult import DoctorRow, LinkView, PatientRow, WaitingRow
from huizhen.auth.links import Issued
from huizhen.store.tables import StoreTransaction
from signaling.live import Live
from signaling.views import SeatView, StandingView


def department(code: str | None) -> Label:
    zh, en = departments.label(code)
    return Label(zh=zh, en=en)


def doctor_row(person: Staff) -> DoctorRow:
    return DoctorRow(id=person.id, name=person.name)


def patient_row(patient: Patient, institution: Institution, now: datetime) -> PatientRow:
    today = local_date(now, institution.time_zone)
    return PatientRow(
        id=patient.id,
        masked_name=masks.name(patient.name),
        age=masks.age(patient.birth_date, today),
        gender=patient.gender,
    )


def waiting_row(seat: Seat, now: datetime) -> WaitingRow:
    since = seat.waiting_since or now
    return WaitingRow(
        seat=seat.id,
        role=seat.role,
        display_name=seat.display_name,
        since=since,
        minutes=max(0, int((now - since).total_seconds() // 60)),
    )


def asked(consult: Consult, seat: Seat) -> tuple[Purpose, ...]:
    """Purposes this seat is asked about: what care needs, and recording for everybody."""
    return tuple(dict.fromkeys((*required_purposes(consult.kind, seat.role), Purpose.REC_AV)))


def standings(consult: Consult, seat: Seat, records: Sequence[ConsentRecord], now: datetime) -> dict[Purpose, Standing]:
    """What this seat is asked about, and whatever else the person decided, as it holds at a moment."""
    records = in_force(records, now)
    return {purpose: standing(records, seat.id, purpose) for purpose in asked(consult, seat)} | overview(
        records, seat.id
    )


def seat_views(
    consult: Consult,
    seats: Sequence[Seat],
    records: Sequence[ConsentRecord],
    names: dict[str, str],
    live: Live,
    *,
    now: datetime,
) -> list[dict[str, Any]]:
    """SeatView of each seat. Live facts (who publishes, quality) come by the socket; here only who is present."""
    present = {*live.present(consult.id), *live.waiting(consult.id)}
    views = []
    for seat in seats:
        standing_now = standings(consult, seat, records, now)
        view = SeatView(
            id=seat.id,
            role=seat.role.value,
            display_name=seat.display_name,
            institution=names.get(seat.home_institution_id, ""),
            state=seat.state.value,
            online=seat.id in present,
            publishing=[],
            muted=[],
            hand=False,
            consent=StandingView.model_validate({p.value: s.value for p, s in standing_now.items()}),
            recorded=False,
            waiting_since=seat.waiting_since if seat.state is SeatState.WAITING else None,
        )
        views.append(view.model_dump(mode="json"))
    return views


def link_view(base_url: str, issued: Issued) -> LinkView:
    """The secret sits in the fragment: it never reaches a server log or a Referer."""
    url = f"{base_url}/p#{issued.secret}"
    return LinkView(url=url, qr_svg=qr.svg(url), expires_at=issued.expires_at, code=issued.code)


async def institution_names(tx: StoreTransaction, ids: set[str]) -> dict[str, str]:
    return {each: (await tx.institutions.get(each)).short_name for each in sorted(ids)}


async def trail(tx: StoreTransaction, institution_id: str, consult_id: str | None = None) -> list[reader.ReadEvent]:
    """The consult's (or the institution's) events in log order; every transaction of the store can read the trail."""
    return await reader.events(cast(reader.TrailSource, tx), institution_id, consult_id)
