"""Patient, Practitioner, Organization: no more than a reader of the consult needs to know who is meant."""

from clinic.people import AccountState, Institution, Patient, Staff
from huizhen import masks
from huizhen.fhir.terms import OWN, Resource, identifier, kept, reference

_GENDER = {"F": "female", "M": "male"}


def patient(row: Patient) -> Resource:
    """Name, sex, day of birth; the identity number masked, no telephone."""
    masked = {"system": f"{OWN}:identity-number-masked", "value": masks.id_number(row.id_number)}
    return {
        "resourceType": "Patient",
        "id": row.id,
        "identifier": [identifier("patient", row.id), masked],
        "active": True,
        "name": [{"use": "official", "text": row.name}],
        "gender": _GENDER.get(row.gender, "other"),
        "birthDate": row.birth_date.isoformat(),
        "managingOrganization": reference("Organization", row.institution_id),
    }


def practitioner(row: Staff) -> Resource:
    """Name, title and licence: what an institution shows its patients anyway (CN-13)."""
    licence = {"system": f"{OWN}:licence-number", "value": row.licence_number} if row.licence_number else None
    qualification = [kept({"code": {"text": row.title}, "period": _until(row)})] if row.title else None
    return kept(
        {
            "resourceType": "Practitioner",
            "id": row.id,
            "identifier": [identifier("staff", row.id), *([licence] if licence else [])],
            "active": row.state is AccountState.ACTIVE,
            "name": [{"use": "official", "text": row.name}],
            "qualification": qualification,
        }
    )


def _until(row: Staff) -> Resource | None:
    return {"end": row.licence_valid_to.isoformat()} if row.licence_valid_to else None


def organization(row: Institution) -> Resource:
    return kept(
        {
            "resourceType": "Organization",
            "id": row.id,
            "identifier": [identifier("institution", row.id), identifier("institution-licence", row.licence_number)],
            "active": True,
            "name": row.name,
            "alias": [each for each in (row.short_name, row.name_en) if each],
            "telecom": [{"system": "phone", "value": row.phone}] if row.phone else None,
        }
    )
