"""The images of a case as a request between institutions lists them: each study with one digest over its files."""

import hashlib

from clinic.panels.sending import Material
from imaging.transaction import ImagingTransaction


async def materials_of(tx: ImagingTransaction, consult_id: str) -> tuple[Material, ...]:
    """Per study SHA-256 over the sorted digests of its stored files, one a line."""
    files: dict[str, list[str]] = {row.id: [] for row in await tx.image_studies.find(consult_id=consult_id)}
    for instance in await tx.image_instances.find(consult_id=consult_id):
        files[instance.study_id].append(instance.sha256)
    return tuple(
        Material("image_study", study_id, hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest())
        for study_id, digests in files.items()
    )
