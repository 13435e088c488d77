"""FileKeyRing: data and signing keys in a small database of their own, wrapped under a key file (domain-rules 5.3).

    <keys_dir>/kek              32 random bytes, mode 0600; each institution's KEK is derived from it (HKDF-SHA256)
    <keys_dir>/keys.db          wrapped keys and tombstones (SQLite, secure_delete)
    <keys_dir>/tombstones.jsonl the same tombstones, append-only: replayed at each opening, so that an older keys.db
                                put back by hand does not bring a destroyed key to life
    <keys_dir>/public.vkeys     verifier keys of every institution, for `verify` and for partners
    <keys_dir>/notes/           last signed checkpoint of each log, kept outside the database

Backups of keys_dir must be short-lived (35 days at most): until they expire, a destroyed key survives in them.
"""

import asyncio
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from huizhen.store.errors import KeyMissing, KeysUnreadable
from recording.errors import KeyDestroyed

_KEY_SIZE = 32
_NONCE = 12
_SCHEMA = """
CREATE TABLE IF NOT EXISTS data_keys (
    institution_id TEXT NOT NULL, key_id TEXT NOT NULL, wrapped BLOB NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (institution_id, key_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (
    institution_id TEXT NOT NULL, key_id TEXT NOT NULL, fingerprint TEXT NOT NULL, destroyed_at TEXT NOT NULL,
    PRIMARY KEY (institution_id, key_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signing_keys (
    institution_id TEXT NOT NULL, purpose TEXT NOT NULL, wrapped BLOB NOT NULL, public BLOB NOT NULL,
    created_at TEXT NOT NULL, PRIMARY KEY (institution_id, purpose)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A key that existed and was destroyed. fingerprint = SHA-256 hex of the wrapped key (of nothing, if none was)."""

    institution_id: str
    key_id: str
    fingerprint: str
    destroyed_at: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """purpose is "seal" or "checkpoint"; public is 32 raw Ed25519 bytes."""

    institution_id: str
    purpose: str
    public: bytes


class FileKeyRing:
    """Implements recording.ports.KeyRing. Safe for several processes on one directory."""

    def __init__(self, keys_dir: Path) -> None:
        self.directory = keys_dir
        keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._master = _load_or_create_kek(keys_dir / "kek")
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            keys_dir / "keys.db", isolation_level=None, check_same_thread=False, timeout=5.0, cached_statements=32
        )
        (keys_dir / "keys.db").chmod(0o600)
        for pragma in ("journal_mode=TRUNCATE", "synchronous=FULL", "secure_delete=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._wrappers: dict[str, AESGCM] = {}
        self._signers: dict[tuple[str, str], Ed25519PrivateKey] = {}
        self.replay(_read_tombstones(self._tombstone_file))
        self._check_opens()

    @property
    def _tombstone_file(self) -> Path:
        return self.directory / "tombstones.jsonl"

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # -- data keys (recording.ports.KeyRing)

    async def create(self, institution_id: str, key_id: str) -> bytes:
        """A new 32-byte key, or the existing one of that name. Raises KeyDestroyed for a destroyed name."""
        return await asyncio.to_thread(self._create, institution_id, key_id)

    async def get(self, institution_id: str, key_id: str) -> bytes:
        """Raises KeyDestroyed, or KeyMissing when there never was one. Not cached: a destroyed key is gone at once."""
        return self.data_key(institution_id, key_id)

    async def destroy(self, institution_id: str, key_id: str) -> str:
        """Idempotent; returns the tombstone's fingerprint. A name without a key is barred from ever having one."""
        return await asyncio.to_thread(self._destroy, institution_id, key_id)

    def data_key(self, institution_id: str, key_id: str) -> bytes:
        with self._lock:
            row = self._db.execute(
                "SELECT wrapped FROM data_keys WHERE institution_id = ? AND key_id = ?", (institution_id, key_id)
            ).fetchone()
            if row is not None:
                return self._unwrap(institution_id, f"data:{key_id}", row[0])
            if self._fingerprint(institution_id, key_id) is not None:
                raise KeyDestroyed(key_id)
            raise KeyMissing(key_id)

    def _create(self, institution_id: str, key_id: str) -> bytes:
        with self._writing():
            if self._fingerprint(institution_id, key_id) is not None:
                raise KeyDestroyed(key_id)
            wrapped = self._wrap(institution_id, f"data:{key_id}", os.urandom(_KEY_SIZE))
            self._db.execute(
                "INSERT INTO data_keys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (institution_id, key_id, wrapped, _stamp()),
            )
            return self.data_key(institution_id, key_id)

    def _destroy(self, institution_id: str, key_id: str) -> str:
        with self._writing():
            known = self._fingerprint(institution_id, key_id)
            if known is not None:
                return known
            row = self._db.execute(
                "SELECT wrapped FROM data_keys WHERE institution_id = ? AND key_id = ?", (institution_id, key_id)
            ).fetchone()
            fingerprint = hashlib.sha256(row[0] if row else b"").hexdigest()
            tombstone = Tombstone(institution_id, key_id, fingerprint, _stamp())
            _append_tombstone(self._tombstone_file, tombstone)
            self._bury(tombstone)
            return fingerprint

    # -- tombstones

    def tombstones(self) -> list[Tombstone]:
        with self._lock:
            rows = self._db.execute("SELECT * FROM tombstones ORDER BY destroyed_at, institution_id, key_id")
            return [Tombstone(*row) for row in rows]

    def replay(self, tombstones: Iterable[Tombstone]) -> int:
        """Destroy whatever these name and is alive again (after a restore). Returns how many keys were destroyed."""
        pending = [t for t in tombstones if self._alive_or_unknown(t)]
        if not pending:
            return 0
        with self._writing():
            return sum(self._bury(tombstone) for tombstone in pending)

    def _alive_or_unknown(self, tombstone: Tombstone) -> bool:
        with self._lock:
            alive = self._db.execute(
                "SELECT 1 FROM data_keys WHERE institution_id = ? AND key_id = ?",
                (tombstone.institution_id, tombstone.key_id),
            ).fetchone()
            return alive is not None or self._fingerprint(tombstone.institution_id, tombstone.key_id) is None

    def _bury(self, tombstone: Tombstone) -> int:
        name = (tombstone.institution_id, tombstone.key_id)
        self._db.execute(
            "INSERT INTO tombstones VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*name, tombstone.fingerprint, tombstone.destroyed_at),
        )
        return self._db.execute("DELETE FROM data_keys WHERE institution_id = ? AND key_id = ?", name).rowcount

    def _fingerprint(self, institution_id: str, key_id: str) -> str | None:
        row = self._db.execute(
            "SELECT fingerprint FROM tombstones WHERE institution_id = ? AND key_id = ?", (institution_id, key_id)
        ).fetchone()
        return None if row is None else str(row[0])

    # -- signing keys

    def signing_key(self, institution_id: str, purpose: str) -> Ed25519PrivateKey:
        """The institution's Ed25519 key for "seal" or "checkpoint"; made at first use."""
        cached = self._signers.get((institution_id, purpose))
        if cached is not None:
            return cached
        with self._writing():
            fresh = Ed25519PrivateKey.generate()
            wrapped = self._wrap(institution_id, f"sign:{purpose}", fresh.private_bytes_raw())
            self._db.execute(
                "INSERT INTO signing_keys VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (institution_id, purpose, wrapped, fresh.public_key().public_bytes_raw(), _stamp()),
            )
            row = self._db.execute(
                "SELECT wrapped FROM signing_keys WHERE institution_id = ? AND purpose = ?", (institution_id, purpose)
            ).fetchone()
            raw = self._unwrap(institution_id, f"sign:{purpose}", row[0])
        key = Ed25519PrivateKey.from_private_bytes(raw)
        self._signers[(institution_id, purpose)] = key
        return key

    def signing_keys(self) -> list[SigningKey]:
        with self._lock:
            rows = self._db.execute("SELECT institution_id, purpose, public FROM signing_keys ORDER BY created_at")
            return [SigningKey(*row) for row in rows]

    # -- the whole content, for backup and restore (huizhen.store.key_backup)

    def dump(self) -> dict[str, list[tuple[str, ...]]]:
        """Every key in clear (hex) and every tombstone. Handle as the most secret thing there is."""
        with self._lock:
            data = self._db.execute("SELECT institution_id, key_id, wrapped, created_at FROM data_keys").fetchall()
            signing = self._db.execute(
                "SELECT institution_id, purpose, wrapped, created_at FROM signing_keys"
            ).fetchall()
            return {
                "data_keys": [(i, k, self._unwrap(i, f"data:{k}", w).hex(), at) for i, k, w, at in data],
                "signing_keys": [(i, p, self._unwrap(i, f"sign:{p}", w).hex(), at) for i, p, w, at in signing],
                "tombstones": [(t.institution_id, t.key_id, t.fingerprint, t.destroyed_at) for t in self.tombstones()],
            }

    def load(self, content: dict[str, list[tuple[str, ...]]]) -> int:
        """Merge a dump: keys already here stay, buried ones stay buried. Returns how many data keys came back."""
        self.replay(Tombstone(*row) for row in content["tombstones"])
        restored = 0
        with self._writing():
            for institution_id, key_id, raw, created_at in content["data_keys"]:
                if self._fingerprint(institution_id, key_id) is None:
                    wrapped = self._wrap(institution_id, f"data:{key_id}", bytes.fromhex(raw))
                    restored += self._db.execute(
                        "INSERT INTO data_keys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        (institution_id, key_id, wrapped, created_at),
                    ).rowcount
            for institution_id, purpose, raw, created_at in content["signing_keys"]:
                key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(raw))
                wrapped = self._wrap(institution_id, f"sign:{purpose}", bytes.fromhex(raw))
                self._db.execute(
                    "INSERT INTO signing_keys VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (institution_id, purpose, wrapped, key.public_key().public_bytes_raw(), created_at),
                )
        return restored

    # -- inside

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _wrapper(self, institution_id: str) -> AESGCM:
        cipher = self._wrappers.get(institution_id)
        if cipher is None:
            info = b"huizhen-kek-v1\x00" + institution_id.encode()
            cipher = AESGCM(HKDF(hashes.SHA256(), _KEY_SIZE, salt=None, info=info).derive(self._master))
            self._wrappers[institution_id] = cipher
        return cipher

    def _wrap(self, institution_id: str, name: str, raw: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._wrapper(institution_id).encrypt(nonce, raw, f"{institution_id}|{name}".encode())

    def _unwrap(self, institution_id: str, name: str, wrapped: bytes) -> bytes:
        try:
            return self._wrapper(institution_id).decrypt(
                wrapped[:_NONCE], wrapped[_NONCE:], f"{institution_id}|{name}".encode()
            )
        except InvalidTag as error:
            raise KeysUnreadable(f"{name} of {institution_id}") from error

    def _check_opens(self) -> None:
        """A wrong key file is noticed at the start, not at the first playback."""
        row = self._db.execute("SELECT institution_id, key_id, wrapped FROM data_keys LIMIT 1").fetchone()
        if row is not None:
            self._unwrap(row[0], f"data:{row[1]}", row[2])
        row = self._db.execute("SELECT institution_id, purpose, wrapped FROM signing_keys LIMIT 1").fetchone()
        if row is not None:
            self._unwrap(row[0], f"sign:{row[1]}", row[2])


def _load_or_create_kek(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise KeysUnreadable(f"{path} is readable by others: chmod 600") from None
        key = path.read_bytes()
    else:
        with os.fdopen(descriptor, "wb") as file:
            key = os.urandom(_KEY_SIZE)
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    if len(key) != _KEY_SIZE:
        raise KeysUnreadable(f"{path} does not hold {_KEY_SIZE} bytes")
    return key


def _append_tombstone(path: Path, tombstone: Tombstone) -> None:
    line = json.dumps([tombstone.institution_id, tombstone.key_id, tombstone.fingerprint, tombstone.destroyed_at])
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read_tombstones(path: Path) -> list[Tombstone]:
    """A torn last line (crash while writing) is skipped: its key was not deleted yet either."""
    if not path.exists():
        return []
    found: list[Tombstone] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Tombstone(*json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def sync_directory(path: Path) -> None:
    """Make a new or renamed entry durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write atomically and durably: temporary file, fsync, rename, fsync of the directory."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
