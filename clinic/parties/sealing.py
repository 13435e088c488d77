"""Sealing an agreement: each house's seal over the same words, each side keeping its own copy (domain-rules 1.3)."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from audit.events import EventCode
from clinic.actor import Actor
from clinic.calendar import local_date
from clinic.documents import Sealer, canonical, digest, sealed
from clinic.errors import IllegalMove
from clinic.parties.agreements import readable, seals_of
from clinic.parties.errors import NotYourTurn, TermOver, WordsChanged
from clinic.parties.records import AgreementSeal, AgreementState, CooperationAgreement
from clinic.parties.traces import tell
from clinic.people import Institution
from clinic.roles import Action
from clinic.transaction import ClinicTransaction

_OPEN = (AgreementState.DRAFT, AgreementState.OFFERED)


async def words(tx: ClinicTransaction, agreement: CooperationAgreement) -> Mapping[str, Any]:
    """What a seal covers: fixed by the first seal, before that made from the draft."""
    seals = await seals_of(tx, agreement)
    if seals:
        known: dict[str, Any] = json.loads(seals[0].document)
        return known
    inviting = await tx.institutions.get(agreement.inviting_id)
    return document(agreement, inviting, await tx.institutions.get(agreement.invited_id))


async def seal(
    tx: ClinicTransaction, sealer: Sealer, agreement_id: str, read_sha256: str, by: Actor
) -> CooperationAgreement:
    """Seal exactly the words that were read. The drafting side first, which offers it; the other's seal completes it.

    Raises WordsChanged, TermOver, NotYourTurn, IllegalMove (closed, or a later version stands), MissingRow,
    NotPermitted.
    """
    agreement = await readable(tx, agreement_id, by, Action.SEAL_AGREEMENT)
    content = await words(tx, agreement)
    await _require_open(tx, agreement, by, digest(canonical(content)), read_sha256)
    await tx.agreement_seals.add(
        AgreementSeal(
            id=uuid4().hex,
            institution_id=by.institution_id,
            agreement_id=agreement.id,
            document=canonical(content).decode(),
            digest=read_sha256,
            seal=sealed(sealer, by.institution_id, content, tx.now),
            sealed_by=by.id,
            sealed_at=tx.now,
        )
    )
    if agreement.state is AgreementState.DRAFT:
        offered = replace(agreement.move(AgreementState.OFFERED), offered_at=tx.now, changed_at=tx.now)
        await tx.cooperation_agreements.save(offered)
        await tell(tx, EventCode.COOPERATION_OFFERED, offered, by, digest=read_sha256)
        return offered
    complete = replace(agreement.move(AgreementState.SEALED), sealed_at=tx.now, changed_at=tx.now)
    await tx.cooperation_agreements.save(complete)
    await tell(tx, EventCode.COOPERATION_SEALED, complete, by, digest=read_sha256)
    await _replace_former(tx, complete, by)
    return complete


async def _require_open(
    tx: ClinicTransaction, agreement: CooperationAgreement, by: Actor, present: str, read: str
) -> None:
    if agreement.state not in _OPEN:
        raise IllegalMove(f"{agreement.state} takes no seal")
    drafts = agreement.institution_id == by.institution_id
    if drafts is not (agreement.state is AgreementState.DRAFT):
        raise NotYourTurn()
    if present != read:
        raise WordsChanged()
    inviting = await tx.institutions.get(agreement.inviting_id)
    if agreement.valid_to < local_date(tx.now, inviting.time_zone):
        raise TermOver()
    series = await tx.cooperation_agreements.find(series_id=agreement.series_id)
    if any(row.sealed_at is not None and row.version > agreement.version for row in series):
        raise IllegalMove("a later version is sealed")


async def _replace_former(tx: ClinicTransaction, complete: CooperationAgreement, by: Actor) -> None:
    """Former versions hold until the day before the new one begins."""
    for row in await tx.cooperation_agreements.find(series_id=complete.series_id, state=AgreementState.SEALED):
        if row.id != complete.id:
            until = min(row.replaced_on or complete.valid_from, complete.valid_from)
            former = replace(row, replaced_on=until, changed_at=tx.now)
            await tx.cooperation_agreements.save(former)
            await tell(tx, EventCode.COOPERATION_REPLACED, former, by)


def document(agreement: CooperationAgreement, inviting: Institution, invited: Institution) -> dict[str, Any]:
    """The words of an agreement with its parties as they are named today."""
    return {
        "type": "huizhen.cooperation-agreement",
        "v": 1,
        "id": agreement.id,
        "series": agreement.series_id,
        "version": agreement.version,
        "number": agreement.number,
        "inviting": _party(inviting),
        "invited": _party(invited),
        "purpose": agreement.purpose,
        "content": agreement.content,
        "kinds": list(agreement.kinds),
        "liability": agreement.liability.value,
        "liability_text": agreement.liability_text,
        "fee_split": agreement.fee_split,
        "valid_from": agreement.valid_from.isoformat(),
        "valid_to": agreement.valid_to.isoformat(),
    }


def _party(house: Institution) -> dict[str, str]:
    return {"id": house.id, "name": house.name, "licence": house.licence_number}
