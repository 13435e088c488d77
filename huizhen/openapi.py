"""OpenAPI 3.1 from the table of routes."""

from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

import huizhen
from huizhen.api.call import DEVICE_COOKIE, STAFF_COOKIE
from huizhen.api.route import ID, SHAPES, Door, Route
from huizhen.api.shapes.base import NoQuery, Stream
from huizhen.api.table import ROUTES

_REF = "#/components/schemas/{model}"
_SECURITY: dict[Door, list[dict[str, list[str]]]] = {
    Door.PUBLIC: [],
    Door.STAFF: [{"staff": []}],
    Door.SEAT: [{"device": []}],
    Door.RECORDS: [{"staff": []}, {"client": []}],
    Door.SCRAPE: [{"metrics": []}],
}


def document() -> dict[str, Any]:
    """The whole document; the same table serves the requests, so the two cannot drift apart."""
    models = _models()
    references, definitions = models_json_schema(
        [(model, mode) for model, mode in models.items()],
        ref_template=_REF,
    )
    schemas = dict(definitions.get("$defs", {}))
    schemas["Problem"] = _PROBLEM
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Huizhen",
            "version": huizhen.__version__,
            "summary": "Telemedicine consultations: REST part of docs/protocol.md",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "staff": {"type": "apiKey", "in": "cookie", "name": STAFF_COOKIE},
                "device": {"type": "apiKey", "in": "cookie", "name": DEVICE_COOKIE},
                "client": {"type": "http", "scheme": "bearer"},
                "metrics": {"type": "http", "scheme": "bearer"},
            },
        },
    }


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem. `code` is stable; GET /api/reasons has plain words for it.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "field": {"type": "string"},
        "seats": {"type": "array", "items": {"type": "string"}},
        "ask": {"type": "string"},
    },
}


def _models() -> dict[type[BaseModel], Any]:
    found: dict[type[BaseModel], Any] = {}
    for route in ROUTES:
        if route.answer is not Stream:
            found[route.answer] = "serialization"
        if route.mutates:
            found[route.body] = "validation"
    return found


def _operation(route: Route[Any], references: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{route.path.strip('/').replace('/', '_').translate(_PLAIN)}",
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_csrf(route), *_file_head(route)],
        "security": _SECURITY[route.policy.door],
        "responses": {"200": _success(route, references), "default": _refusal()},
        "x-own": route.policy.own.value,
        "x-actions": [action.value for action in route.policy.actions],
    }
    if route.mutates:
        operation["requestBody"] = {"required": True, "content": _content(route, references)}
    return operation


def _content(route: Route[Any], references: Any) -> dict[str, Any]:
    if route.raw:
        return {each: {"schema": {"type": "string", "format": "binary"}} for each in route.raw}
    return {"application/json": {"schema": references[(route.body, "validation")]}}


_PLAIN = str.maketrans({"{": "", "}": "", "-": "_", ".": "_"})


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "api" and len(parts) > 1 else "server"


def _path_parameters(route: Route[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{SHAPES.get(name, ID)}$"},
        }
        for name in route.parameters
    ]


def _query_parameters(route: Route[Any]) -> list[dict[str, Any]]:
    if route.query is NoQuery:
        return []
    schema = TypeAdapter(route.query).json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _inlined(value, schema)}
        for name, value in schema["properties"].items()
    ]


def _inlined(value: Any, schema: dict[str, Any]) -> Any:
    """Query models are small: their few definitions are written out where they are used."""
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(schema["$defs"][value["$ref"].rsplit("/", 1)[-1]], schema)
        return {key: _inlined(each, schema) for key, each in value.items()}
    return [_inlined(each, schema) for each in value] if isinstance(value, list) else value


def _csrf(route: Route[Any]) -> list[dict[str, Any]]:
    if not route.mutates or route.policy.door not in (Door.STAFF, Door.SEAT):
        return []
    return [{"name": "X-CSRF", "in": "header", "required": True, "schema": {"type": "string"}}]


def _file_head(route: Route[Any]) -> list[dict[str, Any]]:
    if not route.raw:
        return []
    return [
        {"name": "X-Operation", "in": "header", "required": True, "schema": {"type": "string"}},
        {"name": "X-File-Name", "in": "header", "required": False, "schema": {"type": "string"}},
    ]


def _success(route: Route[Any], references: Any) -> dict[str, Any]:
    if route.answer is Stream:
        return {"description": "Bytes", "content": {"application/octet-stream": {}}}
    schema = references[(route.answer, "serialization")]
    return {"description": route.summary, "content": {"application/json": {"schema": schema}}}


def _refusal() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {"description": "A coded refusal", "content": content}
