"""Each resource passes through the standard's own class before it leaves: what is no FHIR is never told.

The library is large, so it is read when the first request comes, and by nobody else. Its R4B classes have the fields of
R4 for every resource used here.
"""

import importlib
import json
from functools import cache
from typing import Any

from huizhen.fhir.terms import Resource


@cache
def _class(name: str) -> Any:
    return getattr(importlib.import_module(f"fhir.resources.R4B.{name.lower()}"), name)


def checked(resource: Resource) -> Resource:
    """The resource as its class writes it. Raises ValueError for what is none: a fault of ours."""
    told: Resource = json.loads(_class(resource["resourceType"]).model_validate(resource).model_dump_json())
    return told


def bundle(found: list[Resource], base: str, self_url: str) -> Resource:
    """A searchset of checked resources."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [{"relation": "self", "url": self_url}],
        "entry": [
            {
                "fullUrl": f"{base}/fhir/R4/{each['resourceType']}/{each['id']}",
                "resource": each,
                "search": {"mode": "match"},
            }
            for each in found
        ],
    }
