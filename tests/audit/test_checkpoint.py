"""Signed notes: interoperable bytes, and nothing but a note of the right key is believed."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import BadNote, Checkpoint, key_id, parse, parse_vkey, sign, verify, vkey

# The example that golang.org/x/mod/sumdb/note documents: another implementation's key, name and signature.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
POINT = Checkpoint("test/audit/inst/1", 7, hashlib.sha256(b"root").digest())


def test_key_names_and_signatures_are_those_of_other_implementations() -> None:
    name, public = parse_vkey(GO_VKEY)
    raw = base64.b64decode(GO_SIGNATURE)
    assert (name, raw[:4]) == ("PeterNeumann", key_id(name, public))
    Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], GO_TEXT)
    assert vkey(name, public) == GO_VKEY


def test_a_note_has_exactly_the_bytes_the_standard_asks_for() -> None:
    note = sign(POINT, KEY)
    body, _, signature = note.partition(b"\n\n")
    assert body == b"test/audit/inst/1\n7\n" + base64.b64encode(POINT.root)
    assert signature.startswith("\u2014 test/audit/inst/1 ".encode()) and signature.endswith(b"\n")
    assert verify(note, {POINT.origin: PUBLIC}) == POINT
    assert parse(note)[0] == POINT


def test_wrong_key_wrong_origin_and_changed_body_are_refused() -> None:
    note = sign(POINT, KEY)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(BadNote):
        verify(note, {POINT.origin: other})
    with pytest.raises(BadNote):
        verify(note, {"elsewhere": PUBLIC})
    with pytest.raises(BadNote):
        verify(note.replace(b"\n7\n", b"\n8\n"), {POINT.origin: PUBLIC})


@given(st.integers(0, len(sign(POINT, KEY)) - 1), st.integers(1, 255))
def test_no_changed_byte_survives(position: int, change: int) -> None:
    note = bytearray(sign(POINT, KEY))
    note[position] ^= change
    try:
        found = verify(bytes(note), {POINT.origin: PUBLIC})
    except BadNote:
        return
    assert found == POINT  # only base64's unused bits may differ


@given(st.binary(max_size=300))
def test_garbage_is_a_bad_note_and_nothing_else(data: bytes) -> None:
    with pytest.raises(BadNote):
        verify(data, {POINT.origin: PUBLIC})


@pytest.mark.parametrize("text", ["", "a+b", "name+00000000+AAAA", GO_VKEY[:-2], GO_VKEY.replace("c74f", "c74e")])
def test_damaged_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_vkey(text)


def test_names_with_spaces_or_plus_cannot_sign() -> None:
    for name in ("", "a b", "a+b", "a\n"):
        with pytest.raises(BadNote):
            sign(POINT, KEY, name)
