"""Who signed, as they were that day: a paper of a consult names each signer as the rules ask (rules 1.3)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clinic.people import Staff

if TYPE_CHECKING:
    from clinic.transaction import ClinicTransaction


@dataclass(frozen=True, slots=True)
class Signer:
    """Kept with what they signed: people move, are promoted, change their name; a signed paper does not."""

    name: str
    title: str
    department: str  # 诊疗科目 code, "" where the account has none
    institution_id: str
    institution: str
    licence: str


async def signer_of(tx: "ClinicTransaction", staff_id: str) -> Signer:
    """Raises MissingRow."""
    person = await tx.staff.get(staff_id)
    return described(person, (await tx.institutions.get(person.institution_id)).name)


def described(person: Staff, institution: str) -> Signer:
    return Signer(
        person.name,
        person.title,
        person.department or "",
        person.institution_id,
        institution,
        person.licence_number or "",
    )


def signed_as(signer: Signer) -> dict[str, str]:
    """What a seal says of its signer."""
    return {
        "name": signer.name,
        "title": signer.title,
        "department": signer.department,
        "institution": signer.institution_id,
        "institution_name": signer.institution,
        "licence": signer.licence,
    }
