"""The values a text names: who, how much, how long, with whom. As the rows are now."""

from collections.abc import Sequence

from clinic.consult import Consult
from clinic.overlays import rules_for
from clinic.panels.finding import named
from clinic.people import Institution
from consent.choices import settings_of
from consent.transaction import ConsentTransaction


async def partners_of(tx: ConsentTransaction, consult: Consult) -> list[Institution]:
    """The institutions invited to this consult, or named in the draft of its request."""
    return [await tx.institutions.get(each) for each in await named(tx, consult.id)]


async def values_for(
    tx: ConsentTransaction, consult: Consult, partners: Sequence[Institution], locale: str
) -> dict[str, str]:
    """A value for every placeholder, in the language of the text; "" where there is none."""
    institution = await tx.institutions.get(consult.institution_id)
    doctor = await tx.staff.get(consult.doctor_id)
    settings = await settings_of(tx, consult.institution_id)
    rules = rules_for(institution, tx.now)
    chinese = locale.startswith("zh")
    return {
        "institution": _name(institution, chinese),
        "doctor": doctor.name if chinese else (doctor.name_en or doctor.name),
        "licence": doctor.licence_number or "-",
        "phone": institution.phone,
        "fee": _fee(consult.fee_cents, chinese),
        "retention_years": str(rules.value("CN-14", "process_years")),
        "record_years": str(rules.value("CN-14", "record_years")),
        "shared_with": ("、" if chinese else ", ").join(_name(partner, chinese) for partner in partners),
        "ethics_id": settings.ethics_id,
        "abroad": settings.abroad,
    }


def _name(institution: Institution, chinese: bool) -> str:
    return institution.name if chinese else (institution.name_en or institution.name)


def _fee(cents: int, chinese: bool) -> str:
    if cents == 0:
        return "免费" if chinese else "free of charge"
    amount = f"{cents // 100}.{cents % 100:02d}"
    return f"人民币{amount}元" if chinese else f"CNY {amount}"
