"""What the recorder needs from outside: rows, keys, blobs."""

import shutil
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from audit.transaction import Database, Repository
from clinic.consult import Consult, Seat
from consent.companions import Companion
from consent.gate import RecordingPolicy, recording_grant
from consent.grant import RecordingGrant
from consent.records import ConsentRecord
from consent.transaction import ConsentTransaction
from recording.records import Gap, Recording, Segment, SpokenMark
from rtc.sink import Tap


class RecordingTransaction(ConsentTransaction, Protocol):
    recordings: Repository[Recording]
    segments: Repository[Segment]
    gaps: Repository[Gap]
    spoken_marks: Repository[SpokenMark]


class KeyRing(Protocol):
    """Data keys (32 bytes), wrapped by the institution's key-encryption key, kept apart from the database."""

    async def create(self, institution_id: str, key_id: str) -> bytes: ...

    async def get(self, institution_id: str, key_id: str) -> bytes:
        """Raises KeyDestroyed."""
        ...

    async def destroy(self, institution_id: str, key_id: str) -> str:
        """Idempotent; leaves and returns a tombstone (sha256 hex of the wrapped key)."""
        ...


class Blobs(Protocol):
    """Sealed files. Keys are '/'-separated, never contain personal data."""

    async def put(self, key: str, source: Path) -> str:
        """Store, read back, return sha256 hex. Overwriting an existing key with other bytes is refused."""
        ...

    async def size(self, key: str) -> int: ...

    async def read(self, key: str, start: int, length: int) -> bytes: ...

    def stream(self, key: str) -> AsyncIterator[bytes]: ...

    async def delete(self, key: str) -> None:
        """Idempotent: a missing object is success."""
        ...

    async def list(self, prefix: str) -> list[str]: ...


class TappedRoom(Protocol):
    """The part of rtc.room.Room a recorder uses."""

    def attach(self, tap: Tap) -> None: ...

    def detach(self, tap: Tap) -> None: ...

    def refresh_taps(self) -> None: ...

    def request_keyframes(self, participant_ids: Collection[str] | None = None) -> None: ...


class Gate(Protocol):
    """consent.gate.recording_grant with the institution's policy already bound."""

    def __call__(
        self,
        consult: Consult,
        recording_id: str,
        present: Sequence[Seat],
        records: Sequence[ConsentRecord],
        *,
        now: datetime,
        beside: Sequence[Companion],
    ) -> RecordingGrant:
        """Raises RecordingNotPermitted."""
        ...


def consent_gate(policy: RecordingPolicy) -> Gate:
    """The institution's gate."""

    def gate(
        consult: Consult,
        recording_id: str,
        present: Sequence[Seat],
        records: Sequence[ConsentRecord],
        *,
        now: datetime,
        beside: Sequence[Companion],
    ) -> RecordingGrant:
        return recording_grant(consult, recording_id, present, records, policy=policy, now=now, beside=beside)

    return gate


@dataclass(frozen=True, slots=True)
class RetentionStamp:
    """Put on a recording when it is sealed; the archive re-evaluates it, never shortens it silently."""

    record_class: str  # "process.av"
    policy_version: str


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class RecorderPorts:
    """Everything outside that a Recorder talks to."""

    db: Database[RecordingTransaction]
    room: Callable[[str], TappedRoom | None]  # by consult id
    present: Callable[[str], Sequence[str]]  # seat ids in the room now, including one that is just being let in
    keyring: KeyRing
    blobs: Blobs
    clock: Callable[[], datetime]
    gate: Gate
    stamp: Callable[[Consult], RetentionStamp]
    free_bytes: Callable[[Path], int] = free_bytes
    monotonic: Callable[[], float] = time.monotonic  # must be the system-wide clock: the child compares against it


@dataclass(frozen=True, slots=True)
class RecorderPolicy:
    """Seconds and bytes."""

    spool: Path
    segment_seconds: float = 20.0
    max_segment_seconds: float = 60.0
    free_floor: int = 512 * 1024 * 1024  # below it nothing is written, so that the database always has room
    start_seconds: float = 3.0  # no fragment on disk by then: say so and try once more
    renew_seconds: float = 30.0
    recovery_seconds: float = 120.0  # after a restart: how long people have to come back before it is sealed
    seal_seconds: float = 30.0  # how long `stop` waits for the blob store; sealing then goes on behind it
