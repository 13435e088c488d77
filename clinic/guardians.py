"""Who answers for a patient (guardians, CN-10), and whose patient they are (family-doctor agreements, CN-08)."""

from dataclasses import dataclass, replace
from datetime import date
from uuid import uuid4

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic import checks
from clinic.actor import Actor
from clinic.errors import IllegalMove, InvalidInput
from clinic.facts import Guardianship, ServiceAgreement
from clinic.people import Patient, Role
from clinic.roles import Action, Place, require
from clinic.transaction import ClinicTransaction

PROOFS = ("", "household_register", "birth_certificate", "court_order", "other")  # "": nothing was shown yet


@dataclass(frozen=True, slots=True)
class NewGuardian:
    """`reference` names the paper that was shown; both it and `proof` are empty while none was."""

    name: str
    relation: str
    proof: str = ""
    reference: str = ""


async def record_guardian(tx: ClinicTransaction, patient_id: str, new: NewGuardian, by: Actor) -> Guardianship:
    """Raises InvalidInput, NotPermitted, MissingRow."""
    patient = await _patient(tx, patient_id, by)
    checks.one_of("proof", new.proof, PROOFS)
    guardian = Guardianship(
        id=uuid4().hex,
        institution_id=patient.institution_id,
        patient_id=patient.id,
        name=checks.text("name", new.name, checks.NAME),
        relation=checks.text("relation", new.relation, 40),
        proof=new.proof,
        reference=checks.text("reference", new.reference, checks.NAME, 1 if new.proof else 0),
        recorded_by=by.id,
        recorded_at=tx.now,
    )
    await tx.guardianships.add(guardian)
    await tx.append(_event(EventCode.GUARDIAN_RECORDED, patient, by, guardian.id))
    return guardian


async def end_guardianship(tx: ClinicTransaction, guardian_id: str, by: Actor) -> Guardianship:
    """Raises IllegalMove (ended before), NotPermitted, MissingRow."""
    guardian = await tx.guardianships.get(guardian_id)
    patient = await _patient(tx, guardian.patient_id, by)
    if guardian.ended_at is not None:
        raise IllegalMove("ended before")
    ended = replace(guardian, ended_at=tx.now)
    await tx.guardianships.save(ended)
    await tx.append(_event(EventCode.GUARDIAN_ENDED, patient, by, guardian.id))
    return ended


@dataclass(frozen=True, slots=True)
class NewAgreement:
    doctor_id: str
    number: str
    signed_on: date
    valid_to: date


async def record_agreement(tx: ClinicTransaction, patient_id: str, new: NewAgreement, by: Actor) -> ServiceAgreement:
    """A signed agreement with a doctor of the house. Raises InvalidInput, NotPermitted, MissingRow."""
    patient = await _patient(tx, patient_id, by)
    doctor = await tx.staff.get(new.doctor_id)
    if doctor.institution_id != patient.institution_id:
        raise MissingRow("staff")
    if Role.ATTENDING not in doctor.roles:
        raise InvalidInput("doctor_id", "sees no patients")
    if new.valid_to < new.signed_on:
        raise InvalidInput("valid_to", "before it was signed")
    agreement = ServiceAgreement(
        id=uuid4().hex,
        institution_id=patient.institution_id,
        patient_id=patient.id,
        doctor_id=doctor.id,
        number=checks.text("number", new.number, checks.NAME),
        signed_on=new.signed_on,
        valid_to=new.valid_to,
        recorded_by=by.id,
        recorded_at=tx.now,
    )
    await tx.service_agreements.add(agreement)
    await tx.append(_event(EventCode.AGREEMENT_RECORDED, patient, by, agreement.id))
    return agreement


async def end_agreement(tx: ClinicTransaction, agreement_id: str, by: Actor) -> ServiceAgreement:
    """Raises IllegalMove (ended before), NotPermitted, MissingRow."""
    agreement = await tx.service_agreements.get(agreement_id)
    patient = await _patient(tx, agreement.patient_id, by)
    if agreement.ended_at is not None:
        raise IllegalMove("ended before")
    ended = replace(agreement, ended_at=tx.now)
    await tx.service_agreements.save(ended)
    await tx.append(_event(EventCode.AGREEMENT_ENDED, patient, by, agreement.id))
    return ended


async def _patient(tx: ClinicTransaction, patient_id: str, by: Actor) -> Patient:
    patient = await tx.patients.get(patient_id)
    if patient.institution_id != by.institution_id:
        raise MissingRow("patients")
    require(by, Action.REGISTER_PATIENT, Place(patient.institution_id))
    return patient


def _event(code: EventCode, patient: Patient, by: Actor, row_id: str) -> AuditEvent:
    return AuditEvent(code, patient.institution_id, by.id, subject_id=patient.id, public={"row": row_id})
