"""What a sealed copy says of the consult, against the seals and the events that vouch for it."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from audit.verify.copied_log import Trail
from audit.verify.proving import canonical, sealed_claims
from audit.verify.report import Report

__all__ = ["Trail", "check_consents", "check_dossier", "check_end", "check_paper"]
_EVENTS = {  # type of the document, after "huizhen." -> code of the event that recorded its signature
    "opinion": "opinion.signed",
    "countersignature": "opinion.countersigned",
    "joint-report": "opinion.report_signed",
    "report-mark": "opinion.report_marked",
    "decision": "decision.signed",
}


def check_dossier(dossier: Mapping[str, Any], manifest: Mapping[str, Any], trail: Trail, report: Report) -> None:
    """Each signed paper against its seal and its event; report and decision against the opinions they rest on."""
    inviting, consult = str(manifest["inviting"]), str(manifest["consult"])
    if (dossier["consult"]["id"], dossier["consult"]["institution"]["id"]) != (consult, inviting):
        report.find("copy.paper", "data/dossier.json", "about another consult")
    signed = [*dossier["opinions"], *dossier["countersignatures"], *dossier["marks"]]
    signed += [part for part in (dossier["report"], dossier["decision"]) if part is not None]
    for part in signed:
        _check_signed(part, inviting, consult, trail, report)
    rests_on = sorted(_digest(row["document"]) for row in dossier["opinions"])
    joint, decision = dossier["report"], dossier["decision"]
    if joint is not None and joint["document"]["opinions"] != rests_on:
        report.find("copy.paper", "joint report", "signed over other opinions than these")
    if decision is not None and decision["document"]["opinions"] != rests_on:
        report.find("copy.paper", "decision", "signed over other opinions than these")
    if decision is not None and decision["document"]["v"] > 1:
        named = None if joint is None else _digest(joint["document"])
        if decision["document"]["report"] != named:
            report.find("copy.paper", "decision", "signed over another joint report than this")
    _check_left_out(dossier, inviting, trail, report)


def _check_signed(part: Mapping[str, Any], inviting: str, consult: str, trail: Trail, report: Report) -> None:
    document = part["document"]
    kind = str(document["type"]).removeprefix("huizhen.")
    where, named = f"{kind} {document['id']}", _digest(document)
    _check_seal(part["seal"], named, inviting, where=where, trail=trail, report=report)
    event = trail.about(inviting, _EVENTS[kind], document["id"])
    if document["consult"] != consult or event is None or event["pub"].get("document") != named:
        report.find("copy.paper", where, "its signature is not the one on record in the trail")


def _check_left_out(dossier: Mapping[str, Any], inviting: str, trail: Trail, report: Report) -> None:
    """No opinion that was signed is missing: what a senior returned is on record as such."""
    there = {row["document"]["id"] for row in dossier["opinions"]}
    there |= {row["document"]["opinion"] for row in dossier["countersignatures"] if not row["document"]["agrees"]}
    for event in trail.events.get(inviting, []):
        if event["k"] == "opinion.signed" and event["sub"] not in there:
            report.find("copy.paper", f"opinion {event['sub']}", "signed according to the trail, and not in the copy")


def check_consents(content: Mapping[str, Any], manifest: Mapping[str, Any], trail: Trail, report: Report) -> None:
    """Each act of the ledger against its digest, its seal and the event that recorded it; none left out."""
    inviting = str(manifest["inviting"])
    recorded = {
        mark[1]: event
        for event in trail.events.get(inviting, [])
        for mark in event["rows"]
        if mark[0] == "consent_records" and mark[2] == 1
    }
    for row in content["consents"]:
        where = f"consent {row['id']}"
        if sha256(str(row["evidence"]).encode()).hexdigest() != row["digest"]:
            report.find("copy.consent", where, "the digest is not that of the evidence")
        _check_seal(row["seal"], row["digest"], inviting, where=where, trail=trail, report=report)
        event = recorded.pop(row["id"], None)
        if event is None or event["pub"].get("evidence") != row["digest"]:
            report.find("copy.consent", where, "not the evidence on record in the trail")
    for row_id in sorted(recorded):
        report.find("copy.consent", f"consent {row_id}", "on record in the trail, and not in the copy")


def check_end(dossier: Mapping[str, Any], manifest: Mapping[str, Any], trail: Trail, report: Report) -> None:
    """Whether it closed, or was ended early and how: what the trail says last of the consult."""
    consult = str(manifest["consult"])
    moved = trail.about(str(manifest["inviting"]), "visit.moved", consult)
    said = {} if moved is None else moved["pub"]
    end = dossier.get("ended")
    known = ("closed", None) if end is None else (end["as"], end["code"])
    if (said.get("to"), None if end is None else said.get("code")) != known:
        report.find("copy.paper", "end", "the trail tells another end of the consult than this copy")
    if manifest["v"] == 2 and (end is None or dossier["opinions"]):
        report.find("copy.paper", "data/paper.pdf", "only a panel ended before anybody signed leaves no paper")


def check_paper(pdf: bytes | None, dossier: bytes, manifest: Mapping[str, Any], trail: Trail, report: Report) -> None:
    """The paper is the one that was filed, made of this very dossier; where there is none, none was filed."""
    filed = [event for event in trail.events.get(str(manifest["inviting"]), []) if event["k"] == "opinion.paper_filed"]
    said = (None if pdf is None else sha256(pdf).hexdigest(), sha256(dossier).hexdigest())
    if pdf is None and not filed:
        pass
    elif len(filed) != 1 or (filed[0]["pub"].get("pdf"), filed[0]["pub"].get("document")) != said:
        report.find("copy.paper", "data/paper.pdf", "not the paper on record in the trail, or not made of this dossier")
    if canonical(json.loads(dossier)) != dossier:
        report.find("copy.malformed", "data/dossier.json", "not in its canonical form")


def _check_seal(seal: Any, named: str, institution: str, *, where: str, trail: Trail, report: Report) -> None:
    key = trail.seals.get(institution)
    if key is None:
        report.find("copy.seal", where, "no proved log names the seal key of the inviting institution")
        return
    report.seals += 1
    claims = sealed_claims(str(seal), *key)
    if claims is None or claims.get("digest") != named:
        report.find("copy.seal", where, "the seal is not the inviting institution's over this content")


def _digest(document: Any) -> str:
    return sha256(canonical(document)).hexdigest()
