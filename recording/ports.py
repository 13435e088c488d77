"""What the recorder needs from outside: rows, keys, blobs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from audit.transaction import Repository
from consent.transaction import ConsentTransaction
from recording.records import Gap, Recording, Segment


class RecordingTransaction(ConsentTransaction, Protocol):
    recordings: Repository[Recording]
    segments: Repository[Segment]
    gaps: Repository[Gap]


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
