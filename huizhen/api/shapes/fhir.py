"""Search parameters of the FHIR door. Names are the standard's."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from huizhen.api.shapes.base import Id, Query

_ENCOUNTER = StringConstraints(pattern=r"^(Encounter/)?[0-9a-f]{32}$")
_BASED_ON = StringConstraints(pattern=r"^(ServiceRequest/)?[0-9a-f]{32}$")
_IDENTIFIER = StringConstraints(pattern=r"^(urn:huizhen:[a-z-]{1,40}\|)?[0-9a-f]{32}$")
Format = Literal["json", "application/json", "application/fhir+json"]


class FormatQuery(Query):
    format: Annotated[Format, Field(alias="_format")] = "json"


class SearchQuery(FormatQuery):
    """At least one that names a consult; several narrow each other."""

    id: Annotated[Id | None, Field(alias="_id")] = None
    identifier: Annotated[str, _IDENTIFIER] | None = None
    encounter: Annotated[str, _ENCOUNTER] | None = None
    based_on: Annotated[Annotated[str, _BASED_ON] | None, Field(alias="based-on")] = None
