"""What goes into a copy: the consult's record, what was asked, agreed and said, and the trail that vouches for it."""

import base64
from collections.abc import Iterable
from typing import Any, cast

from audit.proof import Inclusion, Prover
from audit.reader import ReadEvent, TrailSource, events
from clinic.consult import Consult
from clinic.documents import canonical
from consent import panel_papers
from consent.attesting import held
from huizhen.store.tables import StoreTransaction


async def record_of(tx: StoreTransaction, consult: Consult) -> bytes:
    """The consult and the people who took part, as they were."""
    seats = await tx.seats.find(consult_id=consult.id)
    return canonical(
        {
            "id": consult.id,
            "institution": consult.institution_id,
            "kind": consult.kind,
            "status": consult.status,
            "outcome": consult.outcome_code or "",
            "department": consult.department,
            "doctor": consult.doctor_id,
            "patient": consult.patient_id,
            "reason": consult.reason,
            "starts_at": consult.starts_at,
            "opened_at": consult.opened_at,
            "ended_at": consult.ended_at,
            "closed_at": consult.closed_at,
            "people": [
                {
                    "seat": seat.id,
                    "role": seat.role,
                    "name": seat.display_name,
                    "home": seat.home_institution_id,
                    "came_at": seat.admitted_at,
                    "left_at": seat.left_at,
                }
                for seat in seats
            ],
        }
    )


async def consents_of(tx: StoreTransaction, consult: Consult) -> bytes:
    """The ledger with its evidence and seals: proof of who agreed to what. No image of an identity document."""
    rows = []
    for record in await tx.consent_records.find(consult_id=consult.id):
        said = await held(tx, record.id)
        rows.append(
            {
                "id": record.id,
                "seat": record.seat_id,
                "action": record.action,
                "permitted": record.permitted,
                "refused": record.refused,
                "shared_with": record.shared_with,
                "capacity": record.capacity,
                "recorded_at": record.recorded_at,
                "evidence": record.evidence,
                "digest": record.digest,
                "seal": record.seal,
                "attested": {kind.value: row.token for kind, row in said.items()},
            }
        )
    return canonical({"consents": rows})


async def attestations_of(tx: StoreTransaction, consult: Consult) -> bytes:
    """What outside authorities said of opinions, report and decision."""
    rows = []
    for paper in await panel_papers.sealed_papers(tx, consult.id):
        for kind, row in (await panel_papers.held(tx, paper.id)).items():
            rows.append({"paper": paper.id, "kind": kind, "digest": row.digest, "token": row.token})
    return canonical({"attestations": rows})


async def materials_of(tx: StoreTransaction, consult: Consult) -> bytes:
    """What the experts were shown, by digest: the files themselves stay with the case."""
    files = await tx.evidence_files.find(consult_id=consult.id)
    images = await tx.image_instances.find(consult_id=consult.id)
    return canonical(
        {
            "files": [{"id": row.id, "kind": row.kind, "size": row.size, "sha256": row.sha256} for row in files],
            "images": [
                {"id": row.id, "study": row.study_id, "series": row.series_id, "size": row.size, "sha256": row.sha256}
                for row in images
            ],
        }
    )


async def trail_of(tx: StoreTransaction, institution_ids: Iterable[str], consult_id: str) -> dict[str, list[ReadEvent]]:
    """By institution, what its log says of the consult."""
    source = cast(TrailSource, tx)
    return {each: await events(source, each, consult_id) for each in dict.fromkeys(institution_ids)}


async def proved(prover: Prover, found: dict[str, list[ReadEvent]]) -> bytes:
    """Each event with its proof, each log with its opening (which names the seal key) and a signed checkpoint."""
    logs: list[dict[str, Any]] = []
    for institution_id, own in found.items():
        for epoch in sorted({event.epoch for event in own}):
            seqs = [event.seq for event in own if event.epoch == epoch]
            opening, *leaves = await prover.prove(institution_id, epoch, (0, *seqs))
            logs.append(
                {
                    "institution": institution_id,
                    "epoch": epoch,
                    "checkpoint": opening.note.decode(),
                    "opening": _proof(opening),
                    "events": [_proof(leaf) for leaf in leaves],
                }
            )
    return canonical({"logs": logs})


def _proof(inclusion: Inclusion) -> dict[str, Any]:
    return {
        "index": inclusion.index,
        "leaf": base64.b64encode(inclusion.leaf).decode(),
        "path": [base64.b64encode(each).decode() for each in inclusion.path],
    }
