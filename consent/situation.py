"""What a consent rests on, beyond its words: kept inside the evidence at the signing, compared with the rows later."""

from typing import Any

from clinic.consult import Consult, Seat, SeatState
from clinic.overlays import rules_for
from clinic.people import Role
from consent.choices import settings_of, wanted_of
from consent.records import Purpose
from consent.signing import is_one_of
from consent.templates import key_for
from consent.transaction import ConsentTransaction

AI = frozenset({Purpose.AI_TRANSCRIBE, Purpose.AI_ASSIST})


async def rests_on(tx: ConsentTransaction, consult: Consult, seat: Seat, signer: str) -> dict[str, Any]:
    """Plain data, ids only. The patient's text rests on more than a guest's. `signer`: the name as typed."""
    institution = await tx.institutions.get(consult.institution_id)
    data: dict[str, Any] = {"retention_years": rules_for(institution, tx.now).value("CN-14", "process_years")}
    if seat.role is not Role.PATIENT:
        return data
    key = key_for(consult.kind, seat.role)
    wanted = await wanted_of(tx, seat, key) if key is not None else frozenset()
    proofs = await tx.follow_up_evidence.find(consult_id=consult.id)
    watching = await tx.seats.find(consult_id=consult.id, role=Role.OBSERVER)
    settings = await settings_of(tx, seat.institution_id)
    return data | {
        "doctor": consult.doctor_id,
        "kind": consult.kind.value,
        "department": consult.department,
        "diagnoses": sorted({proof.diagnosis.strip() for proof in proofs}),
        "guardianship": await _guardianship(tx, consult, signer),
        "observers": sorted(each.id for each in watching if each.state is not SeatState.REMOVED),
        "ai": sorted(purpose.value for purpose in wanted & AI),
        "abroad": settings.abroad if Purpose.XBORDER in wanted else "",
    }


async def _guardianship(tx: ConsentTransaction, consult: Consult, signer: str) -> str | None:
    """The guardian on record whose name was typed; None when nobody of that name is."""
    rows = await tx.guardianships.find(patient_id=consult.patient_id)
    return next((row.id for row in rows if row.ended_at is None and is_one_of(signer, (row.name,))), None)


def same_course(then: dict[str, Any], now: dict[str, Any]) -> bool:
    """The same department and kind of visit, and at least one diagnosis in common where both name any: a further
    proof of the same illness is no other course of treatment."""
    before, after = set(then["diagnoses"]), set(now["diagnoses"])
    known = before and after
    return (then["kind"], then["department"]) == (now["kind"], now["department"]) and not (known and not before & after)
