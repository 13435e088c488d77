"""What all resources share: references, codes, times. Codes are those of the standard or of its usual systems."""

from datetime import UTC, datetime
from typing import Any

Resource = dict[str, Any]

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
OWN = "urn:huizhen"  # identifier systems and extensions of ours begin with it


def moment(at: datetime) -> str:
    """dateTime and instant, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def period(start: datetime | None, end: datetime | None) -> Resource:
    return kept({"start": moment(start) if start else None, "end": moment(end) if end else None})


def reference(kind: str, row_id: str, display: str = "") -> Resource:
    return kept({"reference": f"{kind}/{row_id}", "display": display or None})


def concept(text: str, system: str = "", code: str = "", display: str = "") -> Resource:
    coding = [kept({"system": system, "code": code, "display": display or None})] if code else None
    return kept({"coding": coding, "text": text or None})


def identifier(kind: str, value: str) -> Resource:
    return {"system": f"{OWN}:{kind}", "value": value}


def extension(name: str, **value: Any) -> Resource:
    return {"url": f"{OWN}:{name}", **value}


def kept(values: Resource) -> Resource:
    """Without members that have nothing to say: FHIR knows no null and no empty list."""
    return {name: value for name, value in values.items() if value not in (None, [], {}, "")}
