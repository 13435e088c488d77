"""The receipt against forgers of every rank: who has no key, who has the seal's, and the institution itself."""

import base64
import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
import pytest
import rfc3161_client as tsp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import MissingRow
from audit.proof import Inclusion, needed
from audit.verify.receipt import verify_receipt
from clinic.documents import canonical, digest
from consent.attesting import AttestationKind, Claim, claim_of
from consent.receipt import receipt
from consent.records import Purpose
from huizhen.evidence.authorities import certified
from tests.support.authorities import LocalCA, LocalTSA, issue
from tests.support.builders import World
from tests.support.receipts import Case, JwsSealer


@pytest.fixture
async def case() -> Case:
    world, sealer = await World.create(), JwsSealer()
    world.sealer = sealer  # type: ignore[assignment]
    booked = await world.book()
    record = await world.sign(booked.patient_seat, rec_av=False)
    return await Case.create(record, world, sealer)


def codes(data: bytes, keys: list[str], **roots: bytes) -> list[str]:
    return [each.code for each in verify_receipt(data, keys, **roots).findings]


async def test_a_true_receipt_is_proved(case: Case) -> None:
    report = verify_receipt(case.sealed(), case.log.vkeys)
    assert report.findings == [] and report.remarks == []
    assert report.facts["log"] == f"{case.log.origin} leaf 6 of 13"
    assert report.facts["refused"] == "rec_av"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16])
async def test_proofs_of_trees_of_every_shape(case: Case, size: int) -> None:
    again = await Case.create(case.record, case.world, case.log.sealer, others=size)
    assert codes(again.sealed(), again.log.vkeys) == []


async def test_a_withdrawal_is_proved(case: Case) -> None:
    booked = await case.world.book()
    await case.world.sign(booked.patient_seat)
    record = await case.world.withdraw(booked.patient_seat, Purpose.REC_AV)
    again = await Case.create(record, case.world, case.log.sealer)
    assert codes(again.sealed(), again.log.vkeys) == []
    assert codes(again.with_record(permitted=["treat"]), again.log.vkeys) == ["receipt.leaf", "receipt.evidence"]
    assert "receipt.leaf" in codes(again.with_record(action="signed"), again.log.vkeys)


async def test_every_single_byte_matters(case: Case) -> None:
    """Each position of the file, one random other byte."""
    data, chance, passed = case.sealed(), random.Random(11), []
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] = (changed[at] + 1 + chance.randrange(255)) % 256
        if not codes(bytes(changed), case.log.vkeys):
            passed.append(at)
    assert passed == []


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_answered(data: bytes) -> None:
    key = JwsSealer().key.public_key().public_bytes_raw()
    from audit.checkpoint import vkey

    assert codes(data, [vkey("a/audit/b/1", key)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(value=JSON, name=st.sampled_from(["leaf", "opening", "record", "evidence", "seal", "certificate", "timestamp"]))
def test_wrong_kinds_of_members_are_refused(value: Any, name: str) -> None:
    content = {
        "type": "huizhen.consent-receipt", "v": 1, "issued_at": 1, "institution": {}, "record": {}, "evidence": "{}",
        "digest": "", "seal": "", "certificate": None, "timestamp": None, "leaf": {}, "opening": {},
    }  # fmt: skip
    from audit.checkpoint import vkey

    key = vkey("a/audit/b/1", JwsSealer().key.public_key().public_bytes_raw())
    assert codes(canonical({"receipt": content | {name: value}, "signature": "x"}), [key])


async def test_another_way_of_writing_the_same_is_refused(case: Case) -> None:
    outer = json.loads(case.sealed())
    assert codes(json.dumps(outer, ensure_ascii=False).encode(), case.log.vkeys) == ["receipt.malformed"]
    assert codes(case.sealed(v=2), case.log.vkeys) == ["receipt.malformed"]
    assert codes(case.sealed(more=1), case.log.vkeys) == ["receipt.malformed"]
    assert codes(b" " * (5 << 20), case.log.vkeys) == ["receipt.malformed"]


async def test_keys_decide(case: Case) -> None:
    other = JwsSealer().key.public_key().public_bytes_raw()
    from audit.checkpoint import vkey

    assert codes(case.sealed(), []) == ["receipt.key"]
    assert codes(case.sealed(), ["nonsense"]) == ["vkey.malformed", "receipt.key"]
    assert codes(case.sealed(), [vkey(case.log.origin, other)]) == ["receipt.note"]
    stranger = vkey(f"memory/seal/{case.log.institution_id}", other)
    assert codes(case.sealed(), [*case.log.vkeys, stranger]) == ["receipt.seal"]
    assert codes(case.sealed(), [*case.log.vkeys, case.log.own_seal_vkey()]) == []


async def test_a_thief_of_the_seal_key_meets_the_log(case: Case) -> None:
    """Everything sealed anew over other contents: the leaf knows better."""
    evidence = json.loads(case.content["evidence"])
    evidence["decisions"]["rec_av"] = True
    text = canonical(evidence).decode()
    forged = {
        "evidence": text,
        "digest": digest(text.encode()),
        "seal": case.log.sealer.seal(case.log.institution_id, digest(text.encode()), 1),
    }
    record = case.content["record"] | {"permitted": ["treat", "rec_av"], "refused": []}
    assert codes(case.sealed(**forged, record=record), case.log.vkeys) == ["receipt.leaf"]
    assert codes(case.sealed(evidence=text), case.log.vkeys) == ["receipt.evidence", "receipt.evidence"]
    assert codes(case.sealed(seal=forged["seal"]), case.log.vkeys) == ["receipt.seal"]
    assert codes(case.with_record(id="0" * 32), case.log.vkeys) == ["receipt.leaf"]
    assert codes(case.with_record(refused=[]), case.log.vkeys) == ["receipt.leaf", "receipt.evidence"]
    assert codes(case.with_record(seat="x"), case.log.vkeys) == ["receipt.evidence"]
    institution = case.content["institution"] | {"id": "x"}
    assert codes(case.sealed(institution=institution), case.log.vkeys) == ["receipt.leaf"]


async def test_the_signature_is_over_this_receipt(case: Case) -> None:
    outer = json.loads(case.sealed())
    later = canonical(outer | {"receipt": outer["receipt"] | {"issued_at": 1}})
    assert codes(later, case.log.vkeys) == ["receipt.signature"]
    for signature in (
        "a.b",
        "a.b.c",
        outer["signature"] + "A",
        outer["signature"].replace(".", "..", 1),
        JwsSealer().seal(case.log.institution_id, digest(canonical(outer["receipt"])), 1_700_000_100),
        case.log.sealer.seal("other", digest(canonical(outer["receipt"])), 1_700_000_100),
    ):
        assert codes(canonical(outer | {"signature": signature}), case.log.vkeys) == ["receipt.signature"], signature


async def test_the_log_itself_is_checked(case: Case) -> None:
    proof = case.content["leaf"]["proof"]
    for wrong in (
        proof.replace("index 6", "index 06"),
        proof.replace("index 6", "index x"),
        proof.replace("index 6", "place 6"),
        proof.replace("c2sp", "other"),
        "c2sp.org/tlog-proof@v1",
        proof.replace("\n\n", "\n", 1),
    ):
        assert codes(case.sealed(leaf=case.content["leaf"] | {"proof": wrong}), case.log.vkeys) == ["receipt.proof"]
    lines = proof.split("\n")
    for wrong in (
        proof.replace("index 6", "index 7"),
        proof.replace("index 6", "index 99"),
        "\n".join([*lines[:2], *lines[3:]]),
        "\n".join([*lines[:3], *lines[2:]]),
    ):
        assert codes(case.sealed(leaf=case.content["leaf"] | {"proof": wrong}), case.log.vkeys) == ["receipt.proof"]
    data = base64.b64encode(b"{}").decode()
    assert codes(case.sealed(leaf=case.content["leaf"] | {"data": data}), case.log.vkeys) == ["receipt.proof"]


async def test_leaves_that_say_something_else(case: Case) -> None:
    lies: list[dict[str, Any]] = [
        {"o": "refused"},
        {"con": "x"},
        {"log": "memory/audit/other/1"},
        {"rows": []},
        {"rows": [["consent_records", case.record.id, 2, "ab"]]},
        {"k": "consent.withdrawn"},
        {"pub": {"evidence": "0" * 64}},
    ]
    for changes in lies:
        assert codes(case.with_leaf(**changes), case.log.vkeys)[0] == "receipt.leaf", changes
        case = await Case.create(case.record, case.world, case.log.sealer)


async def test_openings_that_name_no_seal_key(case: Case) -> None:
    own = json.loads(case.log.leaves[0])["pub"]
    elsewhere = own | {"seal_vkey": own["seal_vkey"].replace("/seal/", "/seal/x")}
    for changes, code in (
        ({"k": "log.checked"}, "receipt.proof"),
        ({"pub": {}}, "receipt.proof"),
        ({"log": "memory/audit/x/1"}, "receipt.proof"),
        ({"pub": elsewhere}, "receipt.seal"),
        ({"pub": own | {"seal_vkey": f"{own['seal_vkey'].partition('+')[0]}+00000000+AQ=="}}, "receipt.seal"),
    ):
        assert codes(case.with_opening(**changes), case.log.vkeys) == [code], changes
        case = await Case.create(case.record, case.world, case.log.sealer)


async def test_evidence_whose_picture_was_exchanged(case: Case) -> None:
    evidence = json.loads(case.content["evidence"])
    evidence["signature"]["png"] = base64.b64encode(b"other").decode()
    text = canonical(evidence).decode()
    seal = case.log.sealer.seal(case.log.institution_id, digest(text.encode()), 1)
    data = case.sealed(evidence=text, digest=digest(text.encode()), seal=seal)
    assert codes(data, case.log.vkeys) == ["receipt.leaf", "receipt.evidence"]


async def test_the_certificate_is_checked(case: Case) -> None:
    ca, claim = LocalCA(), claim_of(case.record)
    assert claim is not None
    case.attest(AttestationKind.CERTIFICATE, await ca.certify(claim))
    assert codes(case.sealed(), case.log.vkeys, ca_roots=ca.root_pem) == []
    assert codes(case.sealed(), case.log.vkeys, ca_roots=LocalCA().root_pem) == ["receipt.certificate"]
    assert len(verify_receipt(case.sealed(), case.log.vkeys).remarks) == 1
    other = Claim("x" * 32, claim.institution_id, claim.digest, claim.at, claim.name, claim.capacity)
    for token in (ca.sign(other), "a.b.c", case.content["seal"], ca.sign(claim)[:-4] + "AAAA"):
        data = case.sealed(certificate=token)
        assert codes(data, case.log.vkeys, ca_roots=ca.root_pem) == ["receipt.certificate"], token


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "EdDSA"])
async def test_certificates_of_every_kind_of_key(case: Case, algorithm: str) -> None:
    ca, claim = LocalCA(), claim_of(case.record)
    assert claim is not None
    key: Any = rsa.generate_private_key(65537, 2048) if algorithm != "EdDSA" else ed25519.Ed25519PrivateKey.generate()
    own = issue("张建明", key.public_key(), ca)
    chain = [base64.b64encode(each.public_bytes(serialization.Encoding.DER)).decode() for each in (own, ca.root)]
    said = {"digest": claim.digest, "at": claim.at, "sub": claim.record_id, "iat": claim.at}
    token = jwt.encode(said, key, algorithm, headers={"x5c": chain})
    assert certified(token, claim, [ca.root]) == own
    assert codes(case.sealed(certificate=token), case.log.vkeys, ca_roots=ca.root_pem) == []
    bare = jwt.encode(said, key, algorithm, headers={"x5c": chain[:1]})  # the root need not be in it
    assert codes(case.sealed(certificate=bare), case.log.vkeys, ca_roots=ca.root_pem) == []
    wrong = jwt.encode(said, LocalCA().key, "ES256", headers={"x5c": chain})
    assert codes(case.sealed(certificate=wrong), case.log.vkeys) == ["receipt.certificate"]
    undated = jwt.encode(said | {"iat": None}, key, algorithm, headers={"x5c": chain})
    assert codes(case.sealed(certificate=undated), case.log.vkeys) == ["receipt.certificate"]
    late = jwt.encode(said | {"iat": 1}, key, algorithm, headers={"x5c": chain})  # before the certificate began
    assert codes(case.sealed(certificate=late), case.log.vkeys, ca_roots=ca.root_pem) == ["receipt.certificate"]


async def test_a_certificate_of_one_who_may_not_issue(case: Case) -> None:
    ca, claim = LocalCA(), claim_of(case.record)
    assert claim is not None
    ca.root = issue("Test CA", ca.key, ca=False)
    data = case.sealed(certificate=ca.sign(claim))
    assert codes(data, case.log.vkeys, ca_roots=ca.root_pem) == ["receipt.certificate"]
    stranger = LocalCA()
    foreign = jwt.get_unverified_header(stranger.sign(claim))["x5c"][0]
    mixed = [foreign, base64.b64encode(LocalCA().root.public_bytes(serialization.Encoding.DER)).decode()]
    said = {"digest": claim.digest, "sub": claim.record_id, "iat": claim.at}
    token = jwt.encode(said, ca.key, "ES256", headers={"x5c": mixed})
    assert codes(case.sealed(certificate=token), case.log.vkeys) == ["receipt.certificate"]


async def test_a_true_stamp_and_whose_it_is(case: Case, tmp_path: Path) -> None:
    tsa = LocalTSA(tmp_path / "tsa")
    stamp = base64.b64encode(tsa.reply(_query(case.content["seal"].encode()))).decode()
    other = base64.b64encode(tsa.reply(_query(b"other"))).decode()
    assert codes(case.sealed(timestamp=stamp), case.log.vkeys, tsa_roots=tsa.root_pem) == []
    assert len(verify_receipt(case.sealed(timestamp=stamp), case.log.vkeys).remarks) == 1
    assert codes(case.sealed(timestamp=other), case.log.vkeys, tsa_roots=tsa.root_pem) == ["receipt.timestamp"]
    strange = LocalCA("Test TSA root").root_pem
    assert codes(case.sealed(timestamp=stamp), case.log.vkeys, tsa_roots=strange) == ["receipt.timestamp"]


def _query(message: bytes) -> bytes:
    asked = tsp.TimestampRequestBuilder().data(message).hash_algorithm(tsp.HashAlgorithm.SHA256)
    return bytes(asked.build().as_bytes())


async def test_the_use_case_finds_the_leaf_or_says_that_there_is_none(case: Case) -> None:
    class Proving:
        async def prove(self, institution_id: str, epoch: int, seqs: Sequence[int]) -> Sequence[Inclusion]:
            assert (institution_id, epoch, seqs[1]) == (case.record.institution_id, 1, 0)
            return case.log.prove(6, 0)

    made = await receipt(case.world.db, Proving(), case.log.sealer, case.record, case.world.clock())
    assert codes(made, case.log.vkeys) == []
    lost = dataclasses.replace(case.record, id="0" * 32)
    with pytest.raises(MissingRow):
        await receipt(case.world.db, Proving(), case.log.sealer, lost, case.world.clock())


def test_a_proof_of_what_is_not_there() -> None:
    with pytest.raises(MissingRow):
        needed([3], 3)


async def test_the_stamp_is_checked(case: Case) -> None:
    for token in (base64.b64encode(b"0").decode(), "%%"):
        assert codes(case.sealed(timestamp=token), case.log.vkeys) == ["receipt.timestamp"]
