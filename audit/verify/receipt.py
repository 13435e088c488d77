"""A consent receipt on its own: no server, no database, no code of the writer. The log's public key is enough."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from audit.verify.attested import Attested, check_certificate, check_timestamp
from audit.verify.notes import Keys, Note, parse_note
from audit.verify.proving import (
    base64_exactly,
    canonical,
    contradicted,
    included,
    named_vkey,
    seal_key,
    sealed_claims,
)
from audit.verify.report import Report

LARGEST = 4 << 20
_OUTER = {"receipt", "signature"}
_INNER = {
    "type",
    "v",
    "issued_at",
    "institution",
    "record",
    "evidence",
    "digest",
    "seal",
    "certificate",
    "timestamp",
    "leaf",
    "opening",
}
_FIRST_LINE = "c2sp.org/tlog-proof@v1"


@dataclass(slots=True)
class ReceiptReport(Report):
    """As Report; `facts` are what was proved, for a person to read."""

    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Proof:
    index: int
    path: tuple[bytes, ...]
    note: Note
    text: bytes  # of the note


def verify_receipt(
    data: bytes, vkeys: Iterable[str], *, ca_roots: bytes | None = None, tsa_roots: bytes | None = None
) -> ReceiptReport:
    """Check everything; never raises for what it finds. `vkeys`: the log's key, given out by the institution."""
    report = ReceiptReport()
    keys = Keys.parse(vkeys, report)
    if not keys:
        report.find("receipt.key", "keys", "no verifier key was given: nothing can be proved")
        return report
    try:
        _check(data, keys, Attested(ca_roots, tsa_roots), report)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, IndexError) as error:
        report.find("receipt.malformed", "file", f"not a receipt: {type(error).__name__}")
    return report


def _check(data: bytes, keys: Keys, roots: Attested, report: ReceiptReport) -> None:
    outer = _outer(data)
    if outer is None:
        report.find("receipt.malformed", "file", "not a receipt in its canonical form")
        return
    content, signature = outer["receipt"], outer["signature"]
    leaf, opening = _proof(content["leaf"]["proof"]), _proof(content["opening"]["proof"])
    if leaf is None or opening is None or leaf.text != opening.text:
        report.find("receipt.proof", "proof", "a proof is malformed, or the two are against different checkpoints")
        return
    if not keys.signed(leaf.note):
        report.find("receipt.note", "checkpoint", f"no key that was given signed the checkpoint of {leaf.note.origin}")
        return
    leaf_data, opening_data = base64_exactly(content["leaf"]["data"]), base64_exactly(content["opening"]["data"])
    for where, proof, bytes_ in (("leaf", leaf, leaf_data), ("opening", opening, opening_data)):
        if not included(proof.index, proof.path, proof.note, bytes_):
            report.find("receipt.proof", where, "the leaf is not in the log that was signed")
    if report.findings:
        return
    known = _seal_key(json.loads(opening_data), opening, keys, report)
    if known is None:
        return
    issuer, public = known
    _check_signature(content, signature, issuer, public, report)
    _check_seal(content, issuer, public, report)
    _check_leaf(content, json.loads(leaf_data), leaf.note.origin, report)
    _check_evidence(content, report)
    check_certificate(content, roots, report)
    check_timestamp(content, roots, report)
    _tell(content, leaf, report)


def _outer(data: bytes) -> dict[str, Any] | None:
    """Parsed, when the bytes are exactly the canonical form (RFC 8785: ASCII names, no floats) of the known members."""
    if len(data) > LARGEST:
        return None
    outer = json.loads(data.decode("utf-8"))
    if not isinstance(outer, dict) or set(outer) != _OUTER or canonical(outer) != data:
        return None
    content = outer["receipt"]
    if not isinstance(content, dict) or set(content) != _INNER or not isinstance(outer["signature"], str):
        return None
    return outer if (content["type"], content["v"]) == ("huizhen.consent-receipt", 1) else None


def _proof(text: str) -> _Proof | None:
    head, separator, note_text = text.partition("\n\n")
    lines = head.split("\n")
    note = parse_note(note_text.encode())
    if not separator or note is None or len(lines) < 2 or lines[0] != _FIRST_LINE or not lines[1].startswith("index "):
        return None
    number = lines[1].removeprefix("index ")
    if not number.isascii() or not number.isdigit() or str(int(number)) != number:
        return None
    return _Proof(int(number), tuple(base64_exactly(line) for line in lines[2:]), note, note_text.encode())


def _seal_key(first: Mapping[str, Any], proof: _Proof, keys: Keys, report: ReceiptReport) -> tuple[str, bytes] | None:
    """The log's first leaf names the institution's seal key; keys given by the institution must agree."""
    vkey = named_vkey(first, proof.index, proof.note.origin)
    if vkey is None:
        report.find("receipt.proof", "opening", "the log's first leaf does not name a seal key")
        return None
    found = seal_key(vkey, proof.note.origin)
    if found is None:
        report.find("receipt.seal", "opening", "the seal key named there is not this institution's")
    elif contradicted(found, keys):
        report.find("receipt.seal", "opening", "the institution gave out another seal key")
        return None
    return found


def _check_signature(content: Mapping[str, Any], jws: str, issuer: str, public: bytes, report: ReceiptReport) -> None:
    claims = sealed_claims(jws, issuer, public)
    if claims is None:
        report.find("receipt.signature", "signature", "the institution did not sign this receipt")
    elif (claims.get("digest"), claims.get("at")) != (sha256(canonical(content)).hexdigest(), content["issued_at"]):
        report.find("receipt.signature", "signature", "the signature is over another receipt")


def _check_seal(content: Mapping[str, Any], issuer: str, public: bytes, report: ReceiptReport) -> None:
    if sha256(content["evidence"].encode()).hexdigest() != content["digest"]:
        report.find("receipt.evidence", "evidence", "the digest is not that of the evidence")
    claims = sealed_claims(content["seal"], issuer, public)
    if claims is None or claims.get("digest") != content["digest"]:
        report.find("receipt.seal", "seal", "the seal is not the institution's over this evidence")


def _check_leaf(content: Mapping[str, Any], leaf: Mapping[str, Any], origin: str, report: ReceiptReport) -> None:
    record = content["record"]
    said = (leaf["log"], leaf["sub"], leaf["con"], leaf["o"], leaf["pub"].get("evidence"))
    wrote = any(mark[:3] == ["consent_records", record["id"], 1] for mark in leaf["rows"])
    if not wrote or said != (origin, record["id"], record["consult"], "ok", content["digest"]):
        report.find("receipt.leaf", "leaf", "the leaf is about something else")
        return
    if leaf["k"] not in _KINDS[_act(record)][0]:
        report.find("receipt.leaf", "leaf", "the leaf tells of another act")
    listed = leaf["pub"].get("purposes" if record["action"] == "withdrawn" else "permitted", [])
    if listed != record["permitted"] or leaf["pub"].get("refused", []) != record["refused"]:
        report.find("receipt.leaf", "leaf", "the leaf tells of other decisions")
    if f"/audit/{content['institution']['id']}/" not in origin:
        report.find("receipt.leaf", "leaf", "the log is another institution's")


def _act(record: Mapping[str, Any]) -> str:
    """Raises KeyError where there is no receipt of such an act."""
    emergency = record["action"] == "signed" and record["capacity"] == "emergency"
    return "emergency" if emergency else str(record["action"])


_KINDS: Mapping[str, tuple[frozenset[str], str]] = {  # act -> codes of the leaf, type of the evidence, after "huizhen."
    "signed": (frozenset({"consent.signed", "consent.refused"}), "consent"),
    "withdrawn": (frozenset({"consent.withdrawn"}), "consent-withdrawal"),
    "assented": (frozenset({"consent.assented"}), "consent-assent"),
    "witnessed": (frozenset({"consent.witnessed"}), "consent-witness"),
    "emergency": (frozenset({"consent.emergency"}), "consent-emergency"),
}


def _check_evidence(content: Mapping[str, Any], report: ReceiptReport) -> None:
    """The evidence says what the record says, and its inner digests are right."""
    evidence, record = json.loads(content["evidence"]), content["record"]
    if (evidence["consult"], evidence.get("seat") or evidence["signer"]["seat"]) != (record["consult"], record["seat"]):
        report.find("receipt.evidence", "evidence", "the evidence is about another person or consult")
    act = _act(record)
    if evidence["type"] != f"huizhen.{_KINDS[act][1]}":
        report.find("receipt.evidence", "evidence", "the evidence is of another act")
        return
    if act in ("withdrawn", "emergency"):
        if evidence["purposes"] != record["permitted"]:
            report.find("receipt.evidence", "evidence", "the evidence is about other purposes")
        return
    if act in ("assented", "witnessed"):
        if record["permitted"] or record["refused"] or evidence.get("record") != record["withdraws"]:
            report.find("receipt.evidence", "evidence", "the evidence is about another record")
        return
    said = dict.fromkeys(record["permitted"], True) | dict.fromkeys(record["refused"], False)
    if evidence["decisions"] != said:
        report.find("receipt.evidence", "evidence", "the evidence holds other decisions")
    signature = evidence["signature"]
    if sha256(base64_exactly(signature["png"])).hexdigest() != signature["sha256"]:
        report.find("receipt.evidence", "evidence", "the signature's picture is not the one that was digested")


def _tell(content: Mapping[str, Any], leaf: _Proof, report: ReceiptReport) -> None:
    record, house = content["record"], content["institution"]
    report.facts = {
        "institution": f"{house['name']} {house['name_en']}".strip(),
        "record": record["id"],
        "action": record["action"],
        "permitted": ", ".join(record["permitted"]),
        "refused": ", ".join(record["refused"]),
        "at": record["recorded_at"],
        "evidence": content["digest"],
        "log": f"{leaf.note.origin} leaf {leaf.index} of {leaf.note.size}",
        "certificate": "yes" if content["certificate"] else "none",
        "timestamp": "yes" if content["timestamp"] else "none",
    }
