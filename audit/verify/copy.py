"""An institution's sealed copy of an expert consult, on its own: no server, no database, no code of the writer.

A zip with a BagIt bag (RFC 8493): files against the manifest, the manifest against the holder's seal, every event of
the consult against a signed checkpoint of its log, each opinion, report, decision and consent against its seal and its
event, the paper against the event that filed it. The logs' public keys are enough.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from audit.verify.copied import Trail, check_consents, check_dossier, check_end, check_paper
from audit.verify.copied_log import read_trail
from audit.verify.notes import Keys
from audit.verify.proving import canonical, sealed_claims
from audit.verify.report import Report

LARGEST = 256 << 20
MOST_FILES = 64
_DECLARATION, _SEALED = "bagit" + ".txt", "copy" + ".json"
_TAGS = {_DECLARATION, _SEALED, "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
_NEEDED = {"data/consult.json", "data/dossier.json", "data/consents.json", "data/trail.json"}
_PAPER = "data/paper.pdf"


@dataclass(slots=True)
class CopyReport(Report):
    """As Report; `facts` are what was proved, for a person to read."""

    facts: dict[str, str] = field(default_factory=dict)


def verify_copy(data: bytes, vkeys: Iterable[str]) -> CopyReport:
    """Check everything; never raises for what it finds. `vkeys`: the logs' keys, given out by the institutions."""
    report = CopyReport()
    keys = Keys.parse(vkeys, report)
    if not keys:
        report.find("copy.key", "keys", "no verifier key was given: nothing can be proved")
        return report
    files = _unpacked(data, report)
    if files is None:
        return report
    _check_bag(files, report)
    try:
        _check(files, keys, report)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, IndexError) as error:
        report.find("copy.malformed", "package", f"a file in it is not what it should be: {type(error).__name__}")
    return report


def _unpacked(data: bytes, report: Report) -> dict[str, bytes] | None:
    """Files by their name within the bag; None when it is no package. Bounded: a hostile zip ends here."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            folders = {entry.filename.partition("/")[0] for entry in entries}
            names = [entry.filename.partition("/")[2] for entry in entries]
            if len(folders) != 1 or len(set(names)) != len(names) or not 0 < len(names) <= MOST_FILES:
                report.find("copy.malformed", "package", "not one bag, or a file twice")
                return None
            if sum(entry.file_size for entry in entries) > LARGEST:
                report.find("copy.malformed", "package", "too large for a copy")
                return None
            return {name: _read(archive, entry) for name, entry in zip(names, entries, strict=True)}
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        report.find(
            "copy.damaged", "package", f"the file is damaged or no package: {type(error).__name__}: {error}"[:200]
        )
        return None


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as source:
        data = source.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("larger than it says")
    return data


def _check_bag(files: Mapping[str, bytes], report: Report) -> None:
    """RFC 8493: every payload file in the manifest, every tag file in the tag manifest, nothing beside them."""
    if not files.get(_DECLARATION, b"").startswith(b"BagIt-Version: 1."):
        report.find("copy.malformed", _DECLARATION, "not a BagIt bag")
    payload = {name: data for name, data in files.items() if name.startswith("data/")}
    tags = {name: data for name, data in files.items() if name in _TAGS and name != "tagmanifest-sha256.txt"}
    _check_sums(files.get("manifest-sha256.txt", b""), payload, report)
    _check_sums(files.get("tagmanifest-sha256.txt", b""), tags, report)
    for name in sorted(set(files) - set(payload) - _TAGS):
        report.find("copy.extra", name, "a file that no manifest knows")


def _check_sums(manifest: bytes, files: Mapping[str, bytes], report: Report) -> None:
    known: dict[str, str] = {}
    for line in manifest.decode("utf-8", "replace").splitlines():
        value, separator, name = line.partition("  ")
        if separator:
            known[name] = value
    for name, value in sorted(known.items()):
        if name not in files:
            report.find("copy.missing", name, "listed, but not there")
        elif sha256(files[name]).hexdigest() != value:
            report.find("copy.changed", name, "its content is not what the list says")
    for name in sorted(set(files) - set(known)):
        report.find("copy.extra", name, "there, but not listed")
    report.files += len(known)


def _check(files: Mapping[str, bytes], keys: Keys, report: CopyReport) -> None:
    outer = json.loads(files[_SEALED])
    if canonical(outer) != files[_SEALED] or set(outer) != {"manifest", "seal"}:
        report.find("copy.malformed", _SEALED, "not in its canonical form")
        return
    manifest = outer["manifest"]
    if manifest["type"] != "huizhen.consult-copy" or manifest["v"] not in (1, 2):
        report.find("copy.malformed", _SEALED, "of a kind or version this verifier does not know")
        return
    _check_listed(files, manifest, report)
    papers = {_PAPER} if manifest["v"] == 1 else set()
    if missing := sorted(name for name in _NEEDED | papers if name not in files):
        report.find("copy.missing", ", ".join(missing), "a copy without it proves nothing of the consult")
        return
    trail = read_trail(files["data/trail.json"], keys, str(manifest["consult"]), report)
    _check_seal(manifest, outer["seal"], trail, report)
    dossier = json.loads(files["data/dossier.json"])
    check_dossier(dossier, manifest, trail, report)
    check_consents(json.loads(files["data/consents.json"]), manifest, trail, report)
    check_end(dossier, manifest, trail, report)
    check_paper(files.get(_PAPER), files["data/dossier.json"], manifest, trail, report)
    _tell(manifest, dossier, trail, report)


def _check_listed(files: Mapping[str, bytes], manifest: Mapping[str, Any], report: Report) -> None:
    """The sealed manifest names the same files as the bag's own."""
    listed = {f"data/{row['name']}": row for row in manifest["files"]}
    for name in sorted(set(listed) | {name for name in files if name.startswith("data/")}):
        data, row = files.get(name), listed.get(name)
        if row is None:
            report.find("copy.extra", name, "the sealed manifest does not know it")
        elif data is None:
            report.find("copy.missing", name, "the sealed manifest lists it")
        elif (row["sha256"], row["size"]) != (sha256(data).hexdigest(), len(data)):
            report.find("copy.changed", name, "not the content that was sealed")


def _check_seal(manifest: Mapping[str, Any], seal: str, trail: Trail, report: Report) -> None:
    holder = str(manifest["holder"]["id"])
    key = trail.seals.get(holder)
    if key is None:
        report.find("copy.seal", _SEALED, "no proved log names the seal key of the institution it belongs to")
        return
    report.seals += 1
    claims = sealed_claims(seal, *key)
    if claims is None or claims.get("digest") != sha256(canonical(manifest)).hexdigest():
        report.find("copy.seal", _SEALED, "the institution it belongs to did not seal this manifest")


def _tell(manifest: Mapping[str, Any], dossier: Mapping[str, Any], trail: Trail, report: CopyReport) -> None:
    if report.findings:
        return
    opinions = [row["document"] for row in dossier["opinions"]]
    report.leaves = sum(len(own) for own in trail.events.values())
    decision = dossier["decision"]
    report.facts |= {
        "copy of": str(manifest["holder"]["name"]),
        "consult": str(manifest["consult"]),
        "inviting institution": str(dossier["consult"]["institution"]["name"]),
        **_told_end(dossier),
        "opinions": f"{len(opinions)} signed, {sum(bool(each['dissent']) for each in opinions)} dissenting",
        "joint report": "signed" if dossier["report"] else "",
        "decision": "" if decision is None else str(decision["document"]["adoption"]),
        "events": f"{report.leaves} in {len(trail.events)} logs, each proved against a signed checkpoint",
        "sealed": str(manifest["made_at"]),
    }


def _told_end(dossier: Mapping[str, Any]) -> dict[str, str]:
    """What a copy of a panel that did not close is."""
    end = dossier.get("ended")
    if end is None:
        return {}
    paper = "what was signed before the end" if dossier["opinions"] else "no opinion was signed; there is no paper"
    return {"ended early": f"{end['as']} ({end['code']}), {end['at']}: {paper}"}
