"""The trail inside a sealed copy: each event proved against a signed checkpoint of its log, none left out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audit.verify.notes import Keys, Note, parse_note
from audit.verify.proving import base64_exactly, contradicted, included, named_vkey, seal_key
from audit.verify.report import Report


@dataclass(slots=True)
class Trail:
    """What was proved: seal keys (issuer, public key) by institution, and its events of the consult in order."""

    seals: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    events: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def about(self, institution_id: str, code: str, subject: str) -> Mapping[str, Any] | None:
        """The latest event of this kind about the thing."""
        own = self.events.get(institution_id, [])
        return next((each for each in reversed(own) if (each["k"], each["sub"]) == (code, subject)), None)


def read_trail(data: bytes, keys: Keys, consult: str, report: Report) -> Trail:
    """Raises KeyError, TypeError, ValueError for what is no trail."""
    trail = Trail()
    for log in json.loads(data)["logs"]:
        institution = str(log["institution"])
        note = parse_note(str(log["checkpoint"]).encode())
        where = f"trail of {institution}"
        if note is None or not keys.signed(note):
            report.find("copy.checkpoint", where, "no key that was given signed the checkpoint of this log")
            continue
        if f"/audit/{institution}/" not in note.origin:
            report.find("copy.checkpoint", where, "the checkpoint is of another institution's log")
            continue
        first = _proved(log["opening"], note)
        vkey = None if first is None else named_vkey(first, int(log["opening"]["index"]), note.origin)
        key = None if vkey is None else seal_key(vkey, note.origin)
        if key is None or contradicted(key, keys):
            report.find("copy.proof", where, "the log's first leaf is not proved, or names no seal key of it")
        else:
            trail.seals[institution] = key
        _read_events(
            log["events"], note, consult, where=where, found=trail.events.setdefault(institution, []), report=report
        )
    for institution, own in trail.events.items():
        _check_complete(institution, own, report)
    return trail


def _read_events(
    rows: list[Mapping[str, Any]],
    note: Note,
    consult: str,
    *,
    where: str,
    found: list[Mapping[str, Any]],
    report: Report,
) -> None:
    for row in rows:
        leaf = _proved(row, note)
        if leaf is None:
            report.find("copy.proof", f"{where}, leaf {row['index']}", "the event is not in the log that was signed")
        elif (leaf["con"], leaf["log"]) != (consult, note.origin):
            report.find("copy.proof", f"{where}, leaf {row['index']}", "an event of another consult or log")
        else:
            found.append(leaf)


def _check_complete(institution: str, events: list[Mapping[str, Any]], report: Report) -> None:
    """Events of one consult are numbered from 0: a gap is an event somebody left out."""
    numbers = [event["n"] for event in events]
    if numbers != list(range(len(numbers))):
        report.find("copy.gap", f"trail of {institution}", "events of the consult are missing or out of order")


def _proved(row: Mapping[str, Any], note: Note) -> Mapping[str, Any] | None:
    leaf = base64_exactly(row["leaf"])
    path = tuple(base64_exactly(each) for each in row["path"])
    if not included(int(row["index"]), path, note, leaf):
        return None
    found = json.loads(leaf)
    return found if isinstance(found, dict) else None
