"""Deliveries on their way in pieces: what arrived is on disk, encrypted, and still there after a restart.

    head frame | frame | frame | ...        frame = length (4) | nonce (12) | AES-256-GCM of at most 64 KiB

Each frame is bound to its upload and to the place of its bytes. How much has arrived is what can be opened, so there
is no second place that could say otherwise; what a crash left behind the last whole frame is cut off.
"""

import json
import os
import struct
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from huizhen.inspection.errors import UploadRefused
from huizhen.inspection.verdict import DAMAGED
from huizhen.store.keys import replace_file

SUFFIX = ".tus"
_LENGTH = struct.Struct(">I")
_NONCE, _TAG = 12, 16
_MOST = 1 << 16  # bytes of the clear in a frame
_MAX_HEAD = 1 << 20
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Upload:
    """What is coming, for which consult. `sizes`: of the files that lie one after the other in it."""

    id: str
    institution_id: str
    consult_id: str
    sender: str
    sizes: tuple[int, ...]
    begun_at: datetime
    status: int = 0  # HTTP status of the answer it was finished with; 0: not yet
    answer: str = ""

    @property
    def length(self) -> int:
        return sum(self.sizes)

    @property
    def finished(self) -> bool:
        return self.status != 0


def installation_key(folder: Path) -> bytes:
    """The key of files on their way, made once."""
    path = folder / "uploads.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, os.urandom(_KEY_BYTES))
    return path.read_bytes()


def _head(upload: Upload) -> bytes:
    return json.dumps(asdict(upload) | {"begun_at": upload.begun_at.isoformat()}).encode()


def _upload(raw: bytes) -> Upload:
    said = json.loads(raw)
    sizes, begun_at = tuple(said["sizes"]), datetime.fromisoformat(said["begun_at"])
    return Upload(**(said | {"sizes": sizes, "begun_at": begun_at}))


class Piece:
    """Bytes of one request, written at the end of the file. What is here when the line dies is kept."""

    def __init__(self, file: "ArrivingFile", offset: int) -> None:
        self._file = file
        self._start = self.offset = offset
        self._waiting = bytearray()
        self._target = file.path.open("r+b")
        self._target.seek(0, os.SEEK_END)
        self._before = self._target.tell()

    @property
    def size(self) -> int:
        """Bytes taken so far, whether on disk already or not."""
        return self.offset - self._start + len(self._waiting)

    def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= _MOST:
            self._frame(bytes(self._waiting[:_MOST]))
            del self._waiting[:_MOST]

    def _frame(self, plain: bytes) -> None:
        self._target.write(self._file.sealed(str(self.offset), plain))
        self.offset += len(plain)

    def end(self) -> int:
        """Everything on disk; the offset that may be told."""
        try:
            if self._waiting:
                self._frame(bytes(self._waiting))
                self._waiting.clear()
            self._target.flush()
            os.fsync(self._target.fileno())
        finally:
            self._target.close()
        return self.offset

    def undo(self) -> int:
        """As if this piece had never come; the offset from before."""
        with self._target:
            self._target.flush()
            self._target.truncate(self._before)
            os.fsync(self._target.fileno())
        return self._start


class ArrivingFile:
    """One upload on disk."""

    def __init__(self, folder: Path, key: bytes, upload_id: str) -> None:
        self.path = folder / f"{upload_id}{SUFFIX}"
        self._id = upload_id
        self._key = AESGCM(key)

    def sealed(self, place: str, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        box = nonce + self._key.encrypt(nonce, plain, self._bound(place))
        return _LENGTH.pack(len(box)) + box

    def _bound(self, place: str) -> bytes:
        return f"{self._id}:{place}".encode()

    def create(self, upload: Upload) -> None:
        """Head only; also replaces the whole upload by its answer."""
        replace_file(self.path, self.sealed("head", _head(upload)))

    def open(self) -> tuple[Upload, int]:
        """The head and how much has arrived, a torn end cut off. Raises ValueError when nothing of it can be read."""
        with self.path.open("r+b") as source:
            upload = _upload(self._next(source, "head", _MAX_HEAD))
            offset, good = 0, source.tell()
            try:
                while offset < upload.length and (plain := self._next(source, str(offset), _MOST)):
                    offset += len(plain)
                    good = source.tell()
            except ValueError:
                pass
            source.truncate(good)
        return upload, offset

    def copy(self, target: BinaryIO) -> int:
        """The clear bytes. Raises UploadRefused when the disk does not give back what was written."""
        try:
            with self.path.open("rb") as source:
                upload, offset = _upload(self._next(source, "head", _MAX_HEAD)), 0
                while offset < upload.length:
                    plain = self._next(source, str(offset), _MOST)
                    target.write(plain)
                    offset += len(plain)
        except (OSError, ValueError):
            raise UploadRefused(DAMAGED) from None
        target.flush()
        return offset

    def _next(self, source: BinaryIO, place: str, most: int) -> bytes:
        """Raises ValueError at the end, and for a frame that is torn or of another place."""
        head = source.read(_LENGTH.size)
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        box = source.read(size) if _NONCE + _TAG < size <= most + _NONCE + _TAG else b""
        if not box or len(box) != size:
            raise ValueError("torn")
        try:
            return self._key.decrypt(box[:_NONCE], box[_NONCE:], self._bound(place))
        except InvalidTag:
            raise ValueError("another place or key") from None

    def finish(self, upload: Upload, status: int, answer: str) -> Upload:
        """The bytes go, the answer stays for whoever lost it."""
        done = replace(upload, status=status, answer=answer)
        self.create(done)
        return done

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
