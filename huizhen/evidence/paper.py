"""The words of one paper: from a record and its evidence to what the template sets. Pure: same record, same data."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import segno

from consent.records import ConsentRecord
from huizhen import departments
from huizhen.evidence.forms import Source, form_of
from huizhen.evidence.phrases import Rows, spaced, words

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: nothing that is mistaken when read out
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Paper:
    """`data` for the template, the files beside it, and the paper's own time in Unix seconds."""

    data: dict[str, Any]
    files: Mapping[str, bytes]
    at: int
    title: str
    template: str = "template.typ"  # of huizhen.evidence


def verification_code(digest: str) -> str:
    """80 bits of the evidence's digest for people to compare: `XXXX-XXXX-XXXX-XXXX`."""
    number = int(digest[:20], 16)
    letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def paper_of(
    record: ConsentRecord,
    parties: Mapping[str, Any],
    shared_with: tuple[str, ...],
    *,
    about: ConsentRecord | None = None,
    names: Mapping[str, str] | None = None,
) -> Paper:
    """`parties` as `consent.parties` gives them; `shared_with`: names of the institutions, in the paper's language;
    `about`: the record this one speaks of, where it has one; `names`: of staff the evidence knows by id only."""
    locale = "en" if record.locale.startswith("en") else "zh"
    say = words(locale)
    evidence = json.loads(record.evidence)
    zone = ZoneInfo(parties["institution"]["time_zone"])
    other = {} if about is None else json.loads(about.evidence)
    form = form_of(Source(record, evidence, say, zone, shared_with, other, names or {}))
    code = verification_code(record.digest)
    image = _image(evidence)
    moment = record.recorded_at.astimezone(UTC)
    data: dict[str, Any] = {
        "lang": locale,
        "date": [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second],
        "title": form.title,
        "institution": _named(parties["institution"], locale),
        "lead": form.lead,
        "words": {key: value for key, value in say.items() if isinstance(value, str)} | dict(form.headings),
        "who": _filled(_who(parties, record, say)),
        "sections": form.sections,
        "questions": form.questions,
        "signature": _filled(form.signature),
        "image": image is not None,
        "image_note": _image_note(evidence, image, say),
        "proof": _filled(_proof(record, evidence, say, code)),
        "code": code,
        "legal_basis": form.legal_basis,
        "footer": say["footer"].format(code=code, record=record.id),
    }
    beside = {"consent-evidence.json": record.evidence.encode(), "qr.svg": _qr(record, code)}
    if image is not None:
        beside["signature.png"] = image
    return Paper(data, beside, int(moment.timestamp()), form.title)


def _named(part: Mapping[str, Any], locale: str) -> str:
    return str((part.get("name_en") or part["name"]) if locale == "en" else part["name"])


def _filled(rows: Rows) -> Rows:
    return [(name, value) for name, value in rows if value]


def _who(parties: Mapping[str, Any], record: ConsentRecord, say: Mapping[str, Any]) -> Rows:
    locale, house, doctor, patient = say["lang"], parties["institution"], parties["doctor"], parties["patient"]
    department = departments.label(doctor["department"])[0 if locale == "zh" else 1] if doctor["department"] else ""
    return [
        (say["institution"], _named(house, locale)),
        (say["institution_licence"], house["licence_number"]),
        (say["phone"], house["phone"]),
        (say["doctor"], f"{_named(doctor, locale)}  {doctor['title']}"),
        (say["department"], department),
        (say["doctor_licence"], doctor["licence_number"] or ""),
        (say["patient"], "" if patient is None else _named(patient, locale)),
        (say["consult"], record.consult_id),
    ]


def _proof(record: ConsentRecord, evidence: Mapping[str, Any], say: Mapping[str, Any], code: str) -> Rows:
    template = evidence.get("template") or {}
    version = say["version"].format(version=template["version"]) if template else ""
    return [
        (say["code"], code),
        (say["digest"], spaced(record.digest)),
        (say["record"], record.id),
        (say["template"], f"{template['key']}, {version}" if template else ""),
        (say["text_digest"], spaced(str(evidence.get("rendered_text_sha256") or ""))),
    ]


def _image(evidence: Mapping[str, Any]) -> bytes | None:
    """The drawn signature; a typed one is text already."""
    signature = evidence.get("signature") or {}
    if signature.get("method") != "drawn" or not signature.get("png"):
        return None
    image = base64.b64decode(signature["png"])
    return image if image.startswith(_PNG) else None


def _image_note(evidence: Mapping[str, Any], image: bytes | None, say: Mapping[str, Any]) -> str:
    signature = evidence.get("signature")
    if signature is None or image is not None:
        return ""
    return str(say["image_typed" if signature.get("method") == "typed" else "image_broken"])


def without_image(paper: Paper) -> Paper:
    """The same paper when the picture turns out to be none: the words say so."""
    say = words(paper.data["lang"])
    data = paper.data | {"image": False, "image_note": say["image_broken"]}
    beside = {name: data for name, data in paper.files.items() if name != "signature.png"}
    return Paper(data, beside, paper.at, paper.title, paper.template)


def _qr(record: ConsentRecord, code: str) -> bytes:
    """`HZC1:<code>:<digest>`: nothing personal, and nothing to open."""
    buffer = io.BytesIO()
    made = segno.make(f"HZC1:{code}:{record.digest}", error="m", micro=False)
    made.save(buffer, kind="svg", scale=4, border=1, xmldecl=False, svgns=True)
    return buffer.getvalue()
