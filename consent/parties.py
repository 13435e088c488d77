"""Who stood behind a consent when it was signed, kept inside its evidence: names and licences change, papers do not."""

from typing import Any

from clinic.consult import Consult
from clinic.people import Institution, Patient, Role, Staff
from consent.transaction import ConsentTransaction


def parties(institution: Institution, doctor: Staff, patient: Patient | None) -> dict[str, Any]:
    """`patient` None: a guest's text says nothing of the patient."""
    return {
        "institution": {
            "name": institution.name,
            "name_en": institution.name_en,
            "licence_number": institution.licence_number,
            "phone": institution.phone,
            "time_zone": institution.time_zone,
        },
        "doctor": {
            "name": doctor.name,
            "name_en": doctor.name_en,
            "title": doctor.title,
            "licence_number": doctor.licence_number,
            "department": doctor.department,
        },
        "patient": None if patient is None else {"name": patient.name, "name_en": patient.name_en},
    }


async def parties_of(tx: ConsentTransaction, consult: Consult, seat_role: Role) -> dict[str, Any]:
    """As the rows are now: into the evidence, and for a paper whose evidence does not name the parties."""
    institution = await tx.institutions.get(consult.institution_id)
    doctor = await tx.staff.get(consult.doctor_id)
    patient = await tx.patients.get(consult.patient_id) if seat_role is Role.PATIENT else None
    return parties(institution, doctor, patient)
