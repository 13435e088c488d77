"""Destroyed means destroyed: over restarts, old copies of the file, and restored backups."""

import base64
import hashlib
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from huizhen.evidence.certificates import DocumentKeys
from huizhen.store import key_backup, seal_certificates
from huizhen.store.errors import KeyMissing, KeysUnreadable
from huizhen.store.key_backup import backup, restore
from huizhen.store.keys import FileKeyRing, Tombstone
from huizhen.store.seals import KeySealer, export_verifier_keys, jwks, verifier_keys
from recording.errors import KeyDestroyed
from tests.support.authorities import LocalCA, issue

WORDS = "correct horse battery"


@pytest.fixture
def ring(tmp_path: Path) -> FileKeyRing:
    return FileKeyRing(tmp_path / "keys")


async def test_a_key_is_kept_and_is_its_institutions_own(ring: FileKeyRing, tmp_path: Path) -> None:
    key = await ring.create("i1", "k")
    assert len(key) == 32 and await ring.create("i1", "k") == key == await ring.get("i1", "k")
    assert await ring.create("i2", "k") != key
    with pytest.raises(KeyMissing):
        await ring.get("i1", "other")
    ring.close()
    again = FileKeyRing(tmp_path / "keys")
    assert await again.get("i1", "k") == key
    assert key not in (tmp_path / "keys" / "keys.db").read_bytes()
    again.close()


async def test_destroying_is_idempotent_final_and_leaves_no_bytes(ring: FileKeyRing, tmp_path: Path) -> None:
    await ring.create("i1", "k")
    wrapped = ring._db.execute("SELECT wrapped FROM data_keys").fetchone()[0]
    assert wrapped in (tmp_path / "keys" / "keys.db").read_bytes()
    tombstone = await ring.destroy("i1", "k")
    assert await ring.destroy("i1", "k") == tombstone and len(tombstone) == 64
    assert wrapped not in (tmp_path / "keys" / "keys.db").read_bytes()
    for attempt in (ring.get, ring.create):
        with pytest.raises(KeyDestroyed):
            await attempt("i1", "k")
    await ring.destroy("i1", "never-made")
    with pytest.raises(KeyDestroyed):
        await ring.create("i1", "never-made")
    assert next((t.key_id, t.fingerprint) for t in ring.tombstones()) == ("k", tombstone)
    ring.close()


async def test_an_old_keys_file_put_back_does_not_revive_a_key(ring: FileKeyRing, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    await ring.create("i1", "k")
    await ring.create("i1", "kept")
    shutil.copy(keys / "keys.db", tmp_path / "old.db")
    await ring.destroy("i1", "k")
    ring.close()
    shutil.copy(tmp_path / "old.db", keys / "keys.db")
    with (keys / "tombstones.jsonl").open("a") as file:
        file.write('["torn')  # a crash while the next one was written
    again = FileKeyRing(keys)
    with pytest.raises(KeyDestroyed):
        await again.get("i1", "k")
    assert len(await again.get("i1", "kept")) == 32
    again.close()


async def test_a_backup_restores_keys_but_never_a_destroyed_one(ring: FileKeyRing, tmp_path: Path) -> None:
    kept, _ = await ring.create("i1", "kept"), await ring.create("i1", "gone")
    seal = KeySealer(ring, "test").seal("i1", "ab", 1)
    target = tmp_path / "keys.backup"
    assert backup(ring, target, WORDS) == 2
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 and kept not in target.read_bytes()
    fingerprint = await ring.destroy("i1", "gone")

    assert restore(ring, target, WORDS) == 0  # on the same machine
    with pytest.raises(KeyDestroyed):
        await ring.get("i1", "gone")

    elsewhere = FileKeyRing(tmp_path / "elsewhere")  # another KEK: keys are wrapped anew
    elsewhere.replay([Tombstone("i1", "gone", fingerprint, "2026-03-02")])  # as the database's disposals say
    assert restore(elsewhere, target, WORDS) == 1
    assert await elsewhere.get("i1", "kept") == kept
    with pytest.raises(KeyDestroyed):
        await elsewhere.get("i1", "gone")
    assert KeySealer(elsewhere, "test").holds("i1", "ab", seal)

    late = FileKeyRing(tmp_path / "late")  # the database is restored after the keys
    assert restore(late, target, WORDS) == 2
    assert late.replay([Tombstone("i1", "gone", fingerprint, "2026-03-02")]) == 1
    with pytest.raises(KeyDestroyed):
        await late.get("i1", "gone")
    for opened in (ring, elsewhere, late):
        opened.close()


async def test_tombstones_travel_in_the_backup(ring: FileKeyRing, tmp_path: Path) -> None:
    await ring.create("i1", "k")
    old, new = tmp_path / "old.backup", tmp_path / "new.backup"
    backup(ring, old, WORDS)
    await ring.destroy("i1", "k")
    backup(ring, new, WORDS)
    other = FileKeyRing(tmp_path / "other")
    restore(other, old, WORDS)
    restore(other, new, WORDS)
    restore(other, old, WORDS)
    with pytest.raises(KeyDestroyed):
        await other.get("i1", "k")
    ring.close()
    other.close()


async def test_wrong_passphrases_damaged_files_and_foreign_keys_are_told(ring: FileKeyRing, tmp_path: Path) -> None:
    await ring.create("i1", "k")
    target = tmp_path / "b"
    backup(ring, target, WORDS)
    with pytest.raises(ValueError, match="shorter"):
        backup(ring, target, "short")
    with pytest.raises(KeysUnreadable, match="passphrase"):
        restore(ring, target, WORDS + "!")
    data = bytearray(target.read_bytes())
    for position in (9, 12, 30, len(data) - 1):
        changed = bytearray(data)
        changed[position] ^= 1
        target.write_bytes(changed)
        with pytest.raises(KeysUnreadable):
            restore(ring, target, WORDS)
    target.write_bytes(b"something else entirely")
    with pytest.raises(KeysUnreadable, match="not a key backup"):
        restore(ring, target, WORDS)
    ring.close()
    kek = tmp_path / "keys" / "kek"
    assert stat.S_IMODE(kek.stat().st_mode) == 0o600
    kek.write_bytes(bytes(32))
    with pytest.raises(KeysUnreadable, match="k of i1"):
        FileKeyRing(tmp_path / "keys")
    kek.chmod(0o644)
    with pytest.raises(KeysUnreadable, match="readable by others"):
        FileKeyRing(tmp_path / "keys")


def test_seals_hold_for_their_institution_and_digest_only(ring: FileKeyRing) -> None:
    sealer = KeySealer(ring, "test")
    seal = sealer.seal("i1", "ab", 1_700_000_000)
    assert sealer.holds("i1", "ab", seal)
    assert not sealer.holds("i1", "cd", seal) and not sealer.holds("i2", "ab", seal)
    header, claims, signature = seal.split(".")
    assert not sealer.holds("i1", "ab", f"{header}.{claims}.{signature[:-4]}AAAA")
    unsigned = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    assert not sealer.holds("i1", "ab", f"{unsigned}.{claims}.")
    for text in ("", "a.b.c", "\u2014"):
        assert not sealer.holds("i1", "ab", text)
    ring.close()


def test_public_keys_are_exported(ring: FileKeyRing, tmp_path: Path) -> None:
    sealer = KeySealer(ring, "test")
    sealer.seal("i1", "ab", 1)
    ring.signing_key("i1", "checkpoint")
    lines = verifier_keys(ring, "test", {"i1": 2})
    assert [line.split("+")[0] for line in lines] == ["test/seal/i1", "test/audit/i1/1", "test/audit/i1/2"]
    export_verifier_keys(ring, "test", {"i1": 2})
    assert (tmp_path / "keys" / "public.vkeys").read_text().splitlines() == lines
    (key,) = jwks(ring, "i1")["keys"]
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519") and jwks(ring, "i2") == {"keys": []}
    ring.close()


NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_a_seal_names_the_certificate_of_its_key_while_that_is_valid(ring: FileKeyRing) -> None:
    ca, at = LocalCA(), int(NOW.timestamp())
    assert "x5t#S256" not in jwt.get_unverified_header(KeySealer(ring, "test").seal("i1", "ab", at))
    asked = x509.load_pem_x509_csr(seal_certificates.request(ring, "i1", "县人民医院" * 20))
    assert asked.is_signature_valid
    own = issue("hospital", asked.public_key(), ca, start=NOW - timedelta(days=1))
    chain = own.public_bytes(serialization.Encoding.PEM) + ca.root_pem
    for pem, when, why in (
        (b"nonsense", NOW, "not PEM"),
        (ca.root_pem, NOW, "another key"),
        (chain, NOW - timedelta(days=99), "not valid today"),
    ):
        with pytest.raises(KeysUnreadable, match=why):
            seal_certificates.install(ring, "i1", pem, when)
    assert seal_certificates.install(ring, "i1", chain, NOW) == own
    sealer = KeySealer(ring, "test")
    named = sealer.seal("i1", "ab", at)
    der = own.public_bytes(serialization.Encoding.DER)
    expected = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    assert jwt.get_unverified_header(named)["x5t#S256"] == expected
    assert sealer.holds("i1", "ab", named)
    late = sealer.seal("i1", "ab", int(own.not_valid_after_utc.timestamp()))
    assert "x5t#S256" not in jwt.get_unverified_header(late)
    assert "x5t#S256" not in jwt.get_unverified_header(sealer.seal("i2", "ab", at))
    seal_certificates.chain_path(ring, "i1").write_bytes(b"damaged")
    assert "x5t#S256" not in jwt.get_unverified_header(KeySealer(ring, "test").seal("i1", "ab", at))
    ring.close()


def test_the_document_key_and_certificates_are_in_the_backup(ring: FileKeyRing, tmp_path: Path) -> None:
    documents = DocumentKeys(ring.directory)
    mine = documents.identity("i1", "县人民医院", NOW)
    chain = seal_certificates.chain_path(ring, "i1")
    chain.write_bytes(b"chain")
    target = tmp_path / "b"
    backup(ring, target, WORDS)
    elsewhere = FileKeyRing(tmp_path / "elsewhere")
    restore(elsewhere, target, WORDS)
    back = DocumentKeys(elsewhere.directory)
    assert stat.S_IMODE(back.key_path("i1").stat().st_mode) == 0o600
    assert back.identity("i1", "x", NOW).certificate == mine.certificate
    assert seal_certificates.chain_path(elsewhere, "i1").read_bytes() == b"chain"
    third = FileKeyRing(tmp_path / "third")
    own = DocumentKeys(third.directory).identity("i1", "另一个", NOW)  # a key of its own: it stays, with its chain
    restore(third, target, WORDS)
    assert DocumentKeys(third.directory).identity("i1", "x", NOW).certificate == own.certificate
    for opened in (ring, elsewhere, third):
        opened.close()


def test_a_backup_writes_no_other_files(ring: FileKeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_backup, "_files", lambda folder: [("../escaped.key", "QUJD")])
    backup(ring, tmp_path / "b", WORDS)
    with pytest.raises(KeysUnreadable, match="no key"):
        restore(ring, tmp_path / "b", WORDS)
    assert not (tmp_path / "escaped.key").exists()
    ring.close()
