"""Files become rows: one transaction per delivery, its audit event in it. The bytes are the store's affair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.errors import MissingRow
from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.actor import Actor
from imaging.access import may_add
from imaging.errors import Conflict, IdentityNotAsked, TooMany
from imaging.identity import worse
from imaging.records import Identity, ImageInstance, ImageSeries, ImageStudy
from imaging.transaction import ImagingTransaction

MOST_STUDIES = 20  # per consult
MOST_SERIES = 200
MOST_INSTANCES = 6_000
AT_ONCE = 64  # instances of one delivery's transaction: their digests fit one leaf


@dataclass(frozen=True, slots=True)
class Arrived:
    """One file with the study and series it says it belongs to. Its row as far as it is known before `keep`."""

    study: ImageStudy
    series: ImageSeries
    instance: ImageInstance


async def keep(tx: ImagingTransaction, actor: Actor, consult_id: str, files: Sequence[Arrived]) -> tuple[Arrived, ...]:
    """The rows of a delivery. A file that is there already, byte for byte, stays as it is and is left out.

    Raises NotPermitted, MissingRow, NotTaken, TooMany, Conflict.
    """
    viewer = await may_add(tx, actor, consult_id)
    added: list[Arrived] = []
    for file in files:
        if (instance := await _instance(tx, file.instance)) is None:
            continue
        study = await _study(tx, replace(file.study, added_by=viewer.id, added_at=tx.now))
        series = await _series(tx, replace(file.series, added_at=tx.now))
        instance = replace(instance, added_by=viewer.id, added_at=tx.now)
        await tx.image_instances.add(instance)
        added.append(Arrived(study, series, instance))
    if added:
        await _limits(tx, consult_id)
        await tx.append(_stored(viewer.consult.institution_id, viewer.id, consult_id, added))
    return tuple(added)


def _stored(institution_id: str, who: str, consult_id: str, added: Sequence[Arrived]) -> AuditEvent:
    studies = sorted({file.study.id for file in added})
    public = {
        "studies": studies,
        "series": sorted({file.series.id for file in added}),
        "instances": len(added),
        "differs": sorted({field for file in added for field in file.study.differs}),
    }
    return AuditEvent(EventCode.IMAGES_STORED, institution_id, who, consult_id, studies[0], public=public)


async def _limits(tx: ImagingTransaction, consult_id: str) -> None:
    found = (
        (await tx.image_studies.find(consult_id=consult_id), MOST_STUDIES),
        (await tx.image_series.find(consult_id=consult_id), MOST_SERIES),
        (await tx.image_instances.find(consult_id=consult_id), MOST_INSTANCES),
    )
    if any(len(rows) > most for rows, most in found):
        raise TooMany()


async def _instance(tx: ImagingTransaction, new: ImageInstance) -> ImageInstance | None:
    """None: it is there already."""
    try:
        known = await tx.image_instances.get(new.id)
    except MissingRow:
        return new
    if known.received_sha256 != new.received_sha256:
        raise Conflict()
    return None


async def _study(tx: ImagingTransaction, new: ImageStudy) -> ImageStudy:
    try:
        known = await tx.image_studies.get(new.id)
    except MissingRow:
        await tx.image_studies.add(new)
        return new
    differs = tuple(sorted({*known.differs, *new.differs}))
    fresh = new.identity is Identity.DIFFERS and set(new.differs) - set(known.differs)
    identity = Identity.DIFFERS if fresh else _combined(known.identity, new.identity)
    changed = replace(known, identity=identity, differs=differs, description=known.description or new.description)
    if changed != known:
        await tx.image_studies.save(changed)
    return changed


def _combined(known: Identity, new: Identity) -> Identity:
    """What was confirmed stays confirmed for files that differ in the same fields."""
    return known if known is Identity.CONFIRMED and new is Identity.DIFFERS else worse(known, new)


async def _series(tx: ImagingTransaction, new: ImageSeries) -> ImageSeries:
    try:
        return await tx.image_series.get(new.id)
    except MissingRow:
        await tx.image_series.add(new)
        return new


async def refused(tx: ImagingTransaction, actor: Actor, consult_id: str, codes: Sequence[str]) -> None:
    """Files that were not taken, in a transaction of its own: nothing else of them is kept."""
    consult = await tx.consults.get(consult_id)
    who, public = actor.seat_id or actor.id, {"codes": sorted(set(codes)), "files": len(codes)}
    await tx.append(
        AuditEvent(EventCode.IMAGES_REFUSED, consult.institution_id, who, consult_id, outcome=codes[0], public=public)
    )


async def confirm_identity(tx: ImagingTransaction, actor: Actor, consult_id: str, study_id: str) -> ImageStudy:
    """The inviting side says: the names differ, it is the same person. Raises IdentityNotAsked, MissingRow."""
    viewer = await may_add(tx, actor, consult_id)
    study = await tx.image_studies.get(study_id)
    if study.consult_id != consult_id:
        raise MissingRow("image_studies")
    if study.identity is not Identity.DIFFERS:
        raise IdentityNotAsked()
    confirmed = replace(study, identity=Identity.CONFIRMED, confirmed_by=viewer.id, confirmed_at=tx.now)
    await tx.image_studies.save(confirmed)
    event = AuditEvent(
        EventCode.IMAGES_IDENTITY_CONFIRMED,
        study.institution_id,
        viewer.id,
        consult_id,
        study.id,
        public={"differs": list(study.differs)},
    )
    await tx.append(event)
    return confirmed
