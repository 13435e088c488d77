"""One file, one passphrase: every key, certificate and tombstone, encrypted (scrypt, then AES-256-GCM).

Layout: magic "HZKEYS1\\n", log2(n) and r and p as one byte each, 16 bytes of salt, 12 of nonce, ciphertext; everything
before the nonce is authenticated too. Restoring merges: keys destroyed here, or in the backup, stay destroyed. The
institution's document key and the certificates beside it are files; those that are here stay as they are.
"""

import base64
import json
import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from huizhen.store.errors import KeysUnreadable
from huizhen.store.keys import FileKeyRing, replace_file

_MAGIC = b"HZKEYS1\n"
_LOG_N, _R, _P = 16, 8, 1  # 64 MiB, about 0.2 s
_HEADER = len(_MAGIC) + 3 + 16
MIN_PASSPHRASE = 10
_FILE = re.compile(r"(document|seal)-[0-9A-Za-z_-]{1,64}\.(key|pem)\Z")


def backup(ring: FileKeyRing, target: Path, passphrase: str) -> int:
    """Write the backup (mode 0600, atomically). Returns the number of data keys. ValueError: passphrase too short."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise ValueError(f"passphrase shorter than {MIN_PASSPHRASE} characters")
    content = ring.dump() | {"files": _files(ring.directory)}
    header = _MAGIC + bytes((_LOG_N, _R, _P)) + os.urandom(16)
    nonce = os.urandom(12)
    sealed = AESGCM(_derive(header, passphrase)).encrypt(nonce, json.dumps(content).encode(), header)
    replace_file(target, header + nonce + sealed)
    return len(content["data_keys"])


def restore(ring: FileKeyRing, source: Path, passphrase: str) -> int:
    """Merge the backup into this ring. Returns how many data keys came back. Raises KeysUnreadable."""
    data = source.read_bytes()
    header, nonce, sealed = data[:_HEADER], data[_HEADER : _HEADER + 12], data[_HEADER + 12 :]
    if not header.startswith(_MAGIC) or len(sealed) < 16:
        raise KeysUnreadable(f"{source.name} is not a key backup")
    if tuple(header[8:11]) != (_LOG_N, _R, _P):
        raise KeysUnreadable("unknown scrypt parameters")  # also keeps a forged file from asking for gigabytes
    try:
        clear = AESGCM(_derive(header, passphrase)).decrypt(nonce, sealed, header)
    except InvalidTag as error:
        raise KeysUnreadable("wrong passphrase, or the backup is damaged") from error
    content = json.loads(clear)
    _restore_files(ring.directory, content.pop("files", []))  # backups before the files have none
    return ring.load(content)


def _files(folder: Path) -> list[tuple[str, ...]]:
    """Name and base64 of each document key and certificate chain."""
    found = sorted(path for path in folder.iterdir() if _FILE.match(path.name))
    return [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in found]


def _restore_files(folder: Path, files: list[tuple[str, str]]) -> None:
    """A chain goes with its key: where a key is here already, the backup's chain for it stays out."""
    here = {path.name for path in folder.iterdir()}
    for name, data in files:
        if not _FILE.match(name):
            raise KeysUnreadable("the backup names a file that is no key")
        if name in here or name.replace(".pem", ".key") in here:
            continue
        replace_file(folder / name, base64.b64decode(data), mode=0o600 if name.endswith(".key") else 0o644)


def _derive(header: bytes, passphrase: str) -> bytes:
    log_n, r, p = header[8:11]
    return Scrypt(salt=header[11:_HEADER], length=32, n=1 << log_n, r=r, p=p).derive(passphrase.encode())
