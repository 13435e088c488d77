"""Two institutions agree, with both seals; one asks the other."""

from datetime import timedelta
from typing import Any

from clinic.actor import Actor
from clinic.consult import PANELS, Consult
from clinic.documents import Sealer, canonical, digest
from clinic.panels import finding, requesting, sending
from clinic.parties import agreements, sealing
from clinic.parties.records import CooperationAgreement
from clinic.people import Role


async def agree(tx: Any, sealer: Sealer, inviting_id: str, invited_id: str, **changes: Any) -> CooperationAgreement:
    """From today for a year, for every kind of panel; the inviting side's coordinator drafts it."""
    today = tx.now.date()
    values: dict[str, Any] = {
        "inviting_id": inviting_id,
        "invited_id": invited_id,
        "number": "XY-1",
        "purpose": "远程会诊",
        "content": "条件、流程、权利义务",
        "kinds": tuple(sorted(kind.value for kind in PANELS)),
        "liability": "by_kind",
        "liability_text": "按规定承担",
        "fee_split": "邀请方收取",
        "valid_from": today - timedelta(days=1),
        "valid_to": today + timedelta(days=364),
    }
    ours, theirs = (Actor("coordinator", house, (Role.COORDINATOR,)) for house in (inviting_id, invited_id))
    draft = await agreements.draft(tx, agreements.Terms(**{**values, **changes}), ours)
    sha256 = digest(canonical(await sealing.words(tx, draft)))
    await sealing.seal(tx, sealer, draft.id, sha256, ours)
    return await sealing.seal(tx, sealer, draft.id, sha256, theirs)


def to_partner(institution_id: str, expert_ids: tuple[str, ...], chair: bool) -> requesting.NewRequest:
    """A request to one institution that lacks nothing."""
    return requesting.NewRequest(
        reason="诊断不明",
        aim="明确下一步治疗",
        summary="男，62岁，胸闷三月",
        wanted_department="03.04",
        wanted_specialty="心内科",
        chair_id=expert_ids[0] if chair else None,
        parties=(requesting.Named(institution_id, expert_ids),),
    )


async def send(tx: Any, sealer: Sealer, consult: Consult, by: Actor) -> None:
    """The draft, as if the patient had agreed to every institution it names before the inviting doctor's eyes."""
    named = await finding.named(tx, consult.id)
    words = tuple(sending.Shared(each, "c" * 32, frozenset({consult.doctor_id})) for each in named)
    await sending.send(tx, sealer, consult.id, sending.Supplied(words), by)
