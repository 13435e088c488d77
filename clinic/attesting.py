"""What the doctor vouches for before receiving a patient: that it is a re-visit (CN-07), and who they are (CN-04)."""

from dataclasses import replace
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.consult import ConsultStatus, FollowUpEvidence
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import IllegalMove
from clinic.facts import Attestation, Authentication
from clinic.overlays import rules_for
from clinic.people import Staff
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

BEFORE = (ConsultStatus.SCHEDULED, ConsultStatus.WAITING, ConsultStatus.IN_PROGRESS)


async def attest(  # noqa: PLR0917
    tx: ClinicTransaction, sealer: Sealer, consult_id: str, evidence_id: str, diagnosis: str, by: Actor
) -> Attestation:
    """The doctor of the visit signs that the proof shows the same diagnosis, made there and then.

    Diagnosis, date and institution are the proof's unless the doctor words the diagnosis. A later one takes its place.
    Raises InvalidInput, NotPermitted, IllegalMove, MissingRow.
    """
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SIGN_NOTE, consult, owners=[consult.doctor_id])  # nobody vouches for another doctor
    house = await tx.institutions.get(consult.institution_id)
    if consult.status not in BEFORE or "CN-07" not in rules_for(house, tx.now).kinds[consult.kind].gates:
        raise IllegalMove("nothing to attest")
    proof = await _proof(tx, consult_id, evidence_id)
    word = Attestation(
        id=uuid4().hex,
        institution_id=consult.institution_id,
        consult_id=consult_id,
        doctor_id=by.id,
        evidence_id=proof.id,
        diagnosis=checks.text("diagnosis", diagnosis),
        visited_on=checks.iso_date("visited_on", proof.visited_on),
        visited_institution=proof.visited_institution,
        signed_at=tx.now,
        signature="",
    )
    document = attestation_document(word)
    word = replace(word, signature=sealed(sealer, consult.institution_id, document, tx.now))
    await tx.attestations.add(word)
    await tx.append(
        AuditEvent(
            EventCode.ATTESTED,
            consult.institution_id,
            by.seat_id or by.id,
            consult_id,
            word.id,
            public={"document": digest(canonical(document)), "evidence": proof.id},
        )
    )
    return word


async def _proof(tx: ClinicTransaction, consult_id: str, evidence_id: str) -> FollowUpEvidence:
    proof = await tx.follow_up_evidence.get(evidence_id)
    if proof.consult_id != consult_id:
        raise MissingRow("follow_up_evidence")
    return proof


def attestation_document(word: Attestation) -> dict[str, object]:
    """What the seal covers."""
    return {
        "type": "huizhen.follow-up-attestation",
        "v": 1,
        "id": word.id,
        "institution": word.institution_id,
        "consult": word.consult_id,
        "doctor": word.doctor_id,
        "evidence": word.evidence_id,
        "diagnosis": word.diagnosis,
        "visited_on": word.visited_on,
        "visited_institution": word.visited_institution,
        "signed_at": word.signed_at,
    }


async def authenticated(tx: ClinicTransaction, staff: Staff, method: str) -> Authentication:
    """Note that the person proved who they are, now. The caller appends the event that covers the row."""
    row = Authentication(staff.id, staff.institution_id, method, tx.now)
    if await tx.authentications.find(id=staff.id):
        await tx.authentications.save(row)
    else:
        await tx.authentications.add(row)
    return row
