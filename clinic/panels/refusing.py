"""Why an institution or an expert does not take part: a short coded list (HZ-19), and words beside it."""

from clinic import checks
from clinic.overlays import rules_for
from clinic.transaction import ClinicTransaction

OTHER = "other"


async def why(tx: ClinicTransaction, institution_id: str, reason: str | None, code: str | None) -> tuple[str, str]:
    """Code and words as they are kept. "other", which is also what no code means, says it in words.

    Raises InvalidInput.
    """
    rules = rules_for(await tx.institutions.get(institution_id), tx.now)
    chosen = checks.one_of("reason_code", code or OTHER, rules.rules["HZ-19"].codes)
    return chosen, checks.text("reason", reason or "", 500, 2 if chosen == OTHER else 0)
