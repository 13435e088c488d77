"""A sealed recording as plain files, the export on record first."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from audit.events import EventCode
from audit.transaction import AuditEvent
from huizhen.settings import Settings
from huizhen.store.blobs import LocalBlobs
from huizhen.store.checkpoints import Checkpointer
from huizhen.store.database import SqlDatabase
from recording.errors import KeyDestroyed, RecordingError
from recording.export import export_plain
from recording.playback import Playback
from recording.records import RecordingState

Progress = Callable[[int, int], None]


class NotSealed(RecordingError):
    """Only sealed recordings are exported."""

    code = "recording.not_sealed"


async def export_recording(
    db: SqlDatabase, settings: Settings, recording_id: str, folder: Path, progress: Progress
) -> int:
    """Write the files and `manifest.json`; returns how many files. Raises MissingRow, NotSealed, KeyDestroyed."""
    playback = Playback(db, db.keys, LocalBlobs(settings.blobs_path))
    recording, segments = await playback.contents(recording_id)
    if recording.state is not RecordingState.SEALED:
        raise NotSealed(recording.state.value)
    if not segments:
        raise KeyDestroyed(recording_id)
    await db.keys.get(recording.institution_id, recording.key_id)  # KeyDestroyed before anything is on record
    async with db.begin() as tx:
        public = {"segments": len(segments), "by": "operator"}
        await tx.append(
            AuditEvent(
                EventCode.EXPORTED,
                recording.institution_id,
                "system",
                recording.consult_id,
                recording_id,
                public=public,
            )
        )
    note = await Checkpointer(db).sign(recording.institution_id)
    manifest = await playback.manifest(recording_id)
    written = await export_plain(playback, recording_id, folder)
    files = [*written.segments, *written.joined]
    sums = {}
    for number, path in enumerate(files, 1):
        sums[path.name] = _digest(path)
        progress(number, len(files))
    document = {"recording": manifest, "sha256": sums, "checkpoint": note.decode() if note else None}
    described = folder / "manifest.json"
    described.touch(mode=0o600)
    described.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return len(files)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
