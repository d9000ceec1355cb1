"""Examples for the API's description: made from the schemas, so that they are always of their shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete", "head")
_SHOWN_DEPTH = 8
_TEXTS = {
    "title": "Execute an instrument timeline",
    "name": "simulate",
    "state": "completed",
    "phase": "COMPLETED",
    "user": "caroline",
    "grade": "identical",
    "media_type": "application/fits",
    "path": "events.fits",
    "kind": "thread",
    "licence": "CC-BY-4.0",
    "rule": "bytes",
    "run": "20261120-120000-f000",
    "repeated_by": "20261121-090000-a1b2",
    "status": "built",
    "origin": "https://archive.example/m31",
    "version": "9.3.35",
    "workspace": "default",
    "modified": "2026-11-20T12:00:00+00:00",
    "session": "20261120-120000-f000",
}


def add_examples(document: dict[str, Any]) -> dict[str, Any]:
    """The document with an example in every request body and every answer that has a schema."""
    schemas = document["components"]["schemas"]
    for operation in operations_of(document):
        for content in _contents(operation):
            if "example" not in content and "examples" not in content:
                content["example"] = _example(content["schema"], schemas, "", 0)
        for status, answer in operation["responses"].items():
            problem = answer.get("content", {}).get("application/problem+json")
            if problem is not None:
                problem["example"] = {**problem["example"], "status": int(status)}
    return document


def operations_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a description."""
    for path in document["paths"].values():
        yield from (path[method] for method in METHODS if method in path)


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from operation.get("requestBody", {}).get("content", {}).values()
    for answer in operation["responses"].values():
        yield from (content for content in answer.get("content", {}).values() if "schema" in content)


def _example(schema: dict[str, Any], schemas: dict[str, Any], name: str, depth: int) -> Any:
    if "$ref" in schema:
        schema = {
            **schemas[schema["$ref"].rpartition("/")[2]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    if schema.get("examples"):
        return schema["examples"][0]
    if "default" in schema and schema["default"] not in ((), [], {}):
        return schema["default"]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], schemas, name, depth + 1)
    if schema.get("type") == "object":
        fields = schema.get("properties", {}) if depth < _SHOWN_DEPTH else {}
        return {key: _example(value, schemas, key, depth + 1) for key, value in fields.items()}
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas, name, depth + 1)] if "items" in schema else []
    return _plain(schema, name)


def _plain(schema: dict[str, Any], name: str) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("type") == "integer":
        return max(1, schema.get("minimum", 1))
    if schema.get("type") in ("number", "boolean", "null"):
        return {"number": 1.5, "boolean": True, "null": None}[schema["type"]]
    return _TEXTS.get(name, "" if name else "…")
