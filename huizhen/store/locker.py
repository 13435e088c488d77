"""Small texts encrypted under their consult's data key: AES-256-GCM, bound to the row they stand in."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.leaf import payload_key_id
from huizhen.store.errors import BlobDamaged
from recording.ports import KeyRing

_NONCE = 12


class KeyLocker:
    """Implements clinic.safety.Locker with the key that also encrypts the private parts of the consult's events.

    Destroying that key takes these texts with it.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def lock(self, institution_id: str, consult_id: str, row_id: str, text: str) -> str:
        """Base64 of nonce and ciphertext. Raises KeyDestroyed."""
        key = await self._keys.create(institution_id, payload_key_id(consult_id))
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), row_id.encode())).decode()

    async def unlock(self, institution_id: str, consult_id: str, row_id: str, sealed: str) -> str:
        """Raises KeyDestroyed, KeyMissing, BlobDamaged."""
        key = await self._keys.get(institution_id, payload_key_id(consult_id))
        raw = base64.b64decode(sealed)
        try:
            return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], row_id.encode()).decode()
        except InvalidTag:
            raise BlobDamaged(row_id) from None
