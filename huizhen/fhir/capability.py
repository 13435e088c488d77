"""CapabilityStatement: what this server reads, and nothing more."""

import huizhen
from huizhen.fhir.kinds import KINDS, PEOPLE
from huizhen.fhir.terms import Resource, kept

VERSION = "4.0.1"
MEDIA_TYPE = "application/fhir+json"
_TYPES = {"_id": "token", "identifier": "token", "encounter": "reference", "based-on": "reference"}
_CHANGED = "2026-11-26"  # the day this statement last changed


def statement(base: str) -> Resource:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _CHANGED,
        "kind": "instance",
        "software": {"name": "Huizhen", "version": huizhen.__version__},
        "implementation": {"description": "Huizhen FHIR R4, read only", "url": f"{base}/fhir/R4"},
        "fhirVersion": VERSION,
        "format": [MEDIA_TYPE],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "description": "Bearer token of a hospital system, or the session of staff; each reading on record"
                },
                "resource": [
                    *(_resource(name, kind.search, kind.profile) for name, kind in KINDS.items()),
                    *(_resource(name, (), "") for name in PEOPLE),
                ],
            }
        ],
    }


def _resource(name: str, search: tuple[str, ...], documentation: str) -> Resource:
    return kept(
        {
            "type": name,
            "documentation": documentation,
            "interaction": [{"code": code} for code in ("read", *(("search-type",) if search else ()))],
            "searchParam": [{"name": each, "type": _TYPES[each]} for each in search],
        }
    )
