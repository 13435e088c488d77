"""What is on record of a doctor (filings, duty roster) and of a patient (guardians, agreements), kept by the house.

Each change is judged at once for those who wait (`signaling.seen.recheck`), after its commit.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from audit.errors import MissingRow
from audit.transaction import After
from clinic import filings, guardians
from clinic.actor import Actor
from clinic.roles import Action
from huizhen.api import render
from huizhen.api.call import Call
from huizhen.api.route import B, Own, Policy, Route, Table, Unit, staff
from huizhen.api.shapes.base import Empty, Items, NoBody
from huizhen.api.shapes.gates import (
    AgreementBody,
    AgreementView,
    FilingBody,
    FilingView,
    GuardianBody,
    GuardianView,
    ShiftBody,
    ShiftView,
)
from huizhen.store.tables import StoreTransaction
from signaling import seen

_ROSTER_SHOWN = timedelta(days=366)

V = TypeVar("V")
Act = Callable[[StoreTransaction], Awaitable[object]]
End = Callable[[StoreTransaction, str, Actor], Awaitable[object]]
Shown = Callable[[StoreTransaction, str], Awaitable[V]]


async def _changed(call: Call[B], act: Act) -> None:
    """The act with its operation id in one transaction, then those who wait are judged again."""
    async with call.services.db.begin() as tx:
        await tx.operation(call.op, call.actor.id)
        await act(tx)
    await seen.recheck(call.services.live, call.me.institution_id)


async def _after(call: Call[B], owner: str, shown: Shown[V]) -> V:
    """The list of the person named in the path, as it is now."""
    async with call.services.db.read() as tx:
        return await shown(tx, call.path(owner))


async def _end(call: Call[B], owner: str, row: str, table: str, end: End) -> None:
    """One row counts no longer. Raises MissingRow when the one in the path belongs to somebody else."""

    async def act(tx: StoreTransaction) -> None:
        if getattr(await getattr(tx, table).get(call.path(row)), f"{owner}_id") != call.path(owner):
            raise MissingRow(table)
        await end(tx, call.path(row), call.actor)

    await _changed(call, act)


async def _filings(tx: StoreTransaction, staff_id: str) -> Items[FilingView]:
    return Items(
        items=[
            FilingView(
                id=row.id,
                kind=row.kind,
                number=row.number,
                valid_from=row.valid_from.isoformat(),
                valid_to=row.valid_to.isoformat() if row.valid_to else None,
                revoked_at=row.revoked_at,
            )
            for row in await tx.practice_filings.find(staff_id=staff_id)
        ]
    )


async def list_filings(call: Call[NoBody]) -> Items[FilingView]:
    return await _filings(call.tx, call.path("staff"))


async def add_filing(call: Call[FilingBody]) -> Items[FilingView]:
    body, staff_id = call.body, call.path("staff")
    new = filings.NewFiling(body.kind, body.number, body.valid_from, body.valid_to)
    await _changed(call, lambda tx: filings.file_practice(tx, staff_id, new, call.actor))
    return await _after(call, "staff", _filings)


async def revoke_filing(call: Call[Empty]) -> Items[FilingView]:
    await _end(call, "staff", "filing", "practice_filings", filings.revoke_filing)
    return await _after(call, "staff", _filings)


async def _shifts(tx: StoreTransaction, staff_id: str) -> Items[ShiftView]:
    """The latest hundred of the last year and to come, latest first."""
    rows = await tx.duty_shifts.find(staff_id=staff_id, ends_at=After(tx.now - _ROSTER_SHOWN))
    return Items(
        items=[
            ShiftView(
                id=row.id,
                department=row.department,
                department_label=render.department(row.department),
                starts_at=row.starts_at,
                ends_at=row.ends_at,
                cancelled_at=row.cancelled_at,
            )
            for row in sorted(rows, key=lambda row: row.starts_at, reverse=True)[:100]
        ]
    )


async def list_shifts(call: Call[NoBody]) -> Items[ShiftView]:
    return await _shifts(call.tx, call.path("staff"))


async def add_shift(call: Call[ShiftBody]) -> Items[ShiftView]:
    body, staff_id = call.body, call.path("staff")
    await _changed(
        call,
        lambda tx: filings.plan_shift(tx, staff_id, body.department, body.starts_at, body.ends_at, call.actor),
    )
    return await _after(call, "staff", _shifts)


async def cancel_shift(call: Call[Empty]) -> Items[ShiftView]:
    await _end(call, "staff", "shift", "duty_shifts", filings.cancel_shift)
    return await _after(call, "staff", _shifts)


async def _guardians(tx: StoreTransaction, patient_id: str) -> Items[GuardianView]:
    return Items(
        items=[
            GuardianView(
                id=row.id,
                name=row.name,
                relation=row.relation,
                proof=row.proof,
                reference=row.reference,
                ended_at=row.ended_at,
            )
            for row in await tx.guardianships.find(patient_id=patient_id)
        ]
    )


async def list_guardians(call: Call[NoBody]) -> Items[GuardianView]:
    return await _guardians(call.tx, call.path("patient"))


async def add_guardian(call: Call[GuardianBody]) -> Items[GuardianView]:
    body, patient_id = call.body, call.path("patient")
    new = guardians.NewGuardian(body.name, body.relation, body.proof, body.reference)
    await _changed(call, lambda tx: guardians.record_guardian(tx, patient_id, new, call.actor))
    return await _after(call, "patient", _guardians)


async def end_guardianship(call: Call[Empty]) -> Items[GuardianView]:
    await _end(call, "patient", "guardian", "guardianships", guardians.end_guardianship)
    return await _after(call, "patient", _guardians)


async def _agreements(tx: StoreTransaction, patient_id: str) -> Items[AgreementView]:
    return Items(
        items=[
            AgreementView(
                id=row.id,
                doctor=(await tx.staff.get(row.doctor_id)).name,
                number=row.number,
                signed_on=row.signed_on.isoformat(),
                valid_to=row.valid_to.isoformat(),
                ended_at=row.ended_at,
            )
            for row in await tx.service_agreements.find(patient_id=patient_id)
        ]
    )


async def list_agreements(call: Call[NoBody]) -> Items[AgreementView]:
    return await _agreements(call.tx, call.path("patient"))


async def add_agreement(call: Call[AgreementBody]) -> Items[AgreementView]:
    body, patient_id = call.body, call.path("patient")
    new = guardians.NewAgreement(body.doctor_id, body.number, body.signed_on, body.valid_to)
    await _changed(call, lambda tx: guardians.record_agreement(tx, patient_id, new, call.actor))
    return await _after(call, "patient", _agreements)


async def end_agreement(call: Call[Empty]) -> Items[AgreementView]:
    await _end(call, "patient", "agreement", "service_agreements", guardians.end_agreement)
    return await _after(call, "patient", _agreements)


def _kept(  # noqa: PLR0917
    path: str, policy: Policy, view: type[Any], body: type[Any], handlers: tuple[Any, Any, Any], end: str, name: str
) -> Table:
    """List, add and end of one kind of row."""
    shown, added, ended = handlers
    answer = Items[view]  # type: ignore[valid-type]
    return (
        Route(method="GET", path=path, handler=shown, policy=policy, answer=answer, summary=f"{name} on record"),
        Route(
            method="POST",
            path=path,
            handler=added,
            policy=policy,
            body=body,
            answer=answer,
            unit=Unit.NONE,
            summary=f"{name}: one more; who waits is judged again",
        ),
        Route(
            method="POST",
            path=f"{path}/{end}",
            handler=ended,
            policy=policy,
            body=Empty,
            answer=answer,
            unit=Unit.NONE,
            summary=f"{name}: one counts no longer; who waits is judged again",
        ),
    )


_STAFF = staff(Action.ADMINISTER, own=Own.STAFF)
_PATIENT = staff(Action.REGISTER_PATIENT, own=Own.PATIENT)

ROUTES: Table = (
    *_kept(
        "/api/admin/staff/{staff}/filings",
        _STAFF,
        FilingView,
        FilingBody,
        (list_filings, add_filing, revoke_filing),
        "{filing}/revoke",
        "Practice filings",
    ),
    *_kept(
        "/api/admin/staff/{staff}/shifts",
        _STAFF,
        ShiftView,
        ShiftBody,
        (list_shifts, add_shift, cancel_shift),
        "{shift}/cancel",
        "Shifts of the duty roster",
    ),
    *_kept(
        "/api/admin/patients/{patient}/guardians",
        _PATIENT,
        GuardianView,
        GuardianBody,
        (list_guardians, add_guardian, end_guardianship),
        "{guardian}/end",
        "Guardians",
    ),
    *_kept(
        "/api/admin/patients/{patient}/agreements",
        _PATIENT,
        AgreementView,
        AgreementBody,
        (list_agreements, add_agreement, end_agreement),
        "{agreement}/end",
        "Family-doctor agreements",
    ),
)
