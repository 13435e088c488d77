"""One file, one passphrase: every key and tombstone, encrypted (scrypt, then AES-256-GCM).

Layout: magic "HZKEYS1\\n", log2(n) and r and p as one byte each, 16 bytes of salt, 12 of nonce, ciphertext; everything
before the nonce is authenticated too. Restoring merges: keys destroyed here, or in the backup, stay destroyed.
"""

import json
import os
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


def backup(ring: FileKeyRing, target: Path, passphrase: str) -> int:
    """Write the backup (mode 0600, atomically). Returns the number of data keys. ValueError: passphrase too short."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise ValueError(f"passphrase shorter than {MIN_PASSPHRASE} characters")
    content = ring.dump()
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
    return ring.load(json.loads(clear))


def _derive(header: bytes, passphrase: str) -> bytes:
    log_n, r, p = header[8:11]
    return Scrypt(salt=header[11:_HEADER], length=32, n=1 << log_n, r=r, p=p).derive(passphrase.encode())
