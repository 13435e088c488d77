"""Sealed files in an object store (obstore). Local directory by default; read back and compared after each write."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import obstore
from obstore.store import LocalStore

from huizhen.store.errors import BlobConflict, BlobDamaged, BlobMissing
from huizhen.store.keys import sync_directory

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
_CHUNK = 1 << 20


class LocalBlobs:
    """Implements recording.ports.Blobs on a directory. Keys are '/'-separated names of [A-Za-z0-9._-]."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory = directory
        self._store = LocalStore(directory)

    async def put(self, key: str, source: Path) -> str:
        """Store, make durable, read back; returns sha256 hex. Raises BlobConflict, BlobDamaged."""
        _check(key)
        expected = await asyncio.to_thread(_file_digest, source)
        if not await self._exists(key):
            try:
                await obstore.put_async(self._store, key, source, mode="create", use_multipart=False)
            except obstore.exceptions.AlreadyExistsError:
                pass  # another writer was first: the comparison below decides
            await asyncio.to_thread(self._make_durable, key)
            if await self._digest(key) != expected:
                raise BlobDamaged(key)
        elif await self._digest(key) != expected:
            raise BlobConflict(key)
        return expected

    async def size(self, key: str) -> int:
        """Bytes. Raises BlobMissing."""
        try:
            return int((await obstore.head_async(self._store, _check(key)))["size"])
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise BlobMissing(key) from error

    async def read(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`; shorter at the end of the file. Raises BlobMissing."""
        available = max(0, min(length, await self.size(key) - start))
        if start < 0 or available == 0:
            return b""
        return bytes(await obstore.get_range_async(self._store, key, start=start, length=available))

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """Chunks of about 1 MiB. Raises BlobMissing."""
        try:
            result = await obstore.get_async(self._store, _check(key))
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise BlobMissing(key) from error
        async for chunk in result.stream(min_chunk_size=_CHUNK):
            yield bytes(chunk)

    async def delete(self, key: str) -> None:
        """Idempotent: a missing object is success."""
        try:
            await obstore.delete_async(self._store, _check(key))
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return

    async def list(self, prefix: str) -> "list[str]":
        """Keys below the prefix ("" = all), sorted. A prefix ends at a '/' boundary."""
        keys: list[str] = []
        async for page in obstore.list(self._store, prefix or None):
            keys.extend(str(meta["path"]) for meta in page)
        return sorted(keys)

    async def _exists(self, key: str) -> bool:
        try:
            await self.size(key)
        except BlobMissing:
            return False
        return True

    async def _digest(self, key: str) -> str:
        digest = hashlib.sha256()
        async for chunk in self.stream(key):
            digest.update(chunk)
        return digest.hexdigest()

    def _make_durable(self, key: str) -> None:
        """The object store renames into place but does not fsync."""
        path = self.directory / key
        with path.open("rb") as file:
            os.fsync(file.fileno())
        for parent in path.parents:
            sync_directory(parent)
            if parent == self.directory:
                break


def _check(key: str) -> str:
    if not key or len(key) > 512 or not all(_SEGMENT.match(part) for part in key.split("/")):
        raise ValueError(f"not a blob key: {key!r}")
    return key


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
