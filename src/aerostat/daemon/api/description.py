"""The API as OpenAPI 3.1, made from the table of routes and the types of its bodies. Pure."""

import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from aerostat import __version__
from aerostat.daemon.api.answers import Failure
from aerostat.daemon.api.routes import DEFAULT_MOVES, FAILURES, MOST_MOVES, ROUTES, Route
from aerostat.daemon.snapshot import SCHEMA, Snapshot

_REFERENCE = "#/components/schemas/{name}"
_ABOUT = """\
HTTP and JSON on a unix socket. Sizes are bytes, times seconds, null is unknown; every answer has \
a schema. Root, the manager's own user and the members of [api] group may change things; whoever \
else may open the socket may look."""
_JSON = "application/json"
_OWN_KINDS = {"metrics": {"text/plain": {"schema": {"type": "string"}}}}


def description() -> dict[str, Any]:
    """Return the OpenAPI description of the API."""
    types = [Failure, Snapshot, *_types()]
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    # A snapshot is sent with the schema's number, as every answer is.
    whole = components["Snapshot"]
    whole["properties"] = {"schema": {"enum": [SCHEMA]}} | whole["properties"]
    for component in components.values():
        if "description" in component:
            component["description"] = inspect.cleandoc(component["description"])
        if "schema" in component["properties"]:
            component["required"] = sorted({"schema", *component.get("required", ())})
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route)
    described = {
        "openapi": "3.1.0",
        "info": {"title": "aerostat", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "http://localhost", "description": "the host's name is of no account"}],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }
    # As JSON has it: among the defaults are tuples.
    as_json: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))
    return as_json


def _types() -> Iterable[type[Struct]]:
    for route in ROUTES:
        yield from (kind for kind in (route.body, route.answer) if kind is not None)


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.action,
        "summary": route.summary,
        "parameters": list(_parameters(route)),
        "responses": {"200": {"description": "done", "content": _content(route)}},
    }
    if route.body is not None:
        body = {_JSON: {"schema": _reference(route.body)}}
        operation["requestBody"] = {"required": True, "content": body}
    for status in sorted(route.failures):
        content = {_JSON: {"schema": _reference(Failure)}}
        operation["responses"][str(int(status))] = {
            "description": FAILURES[status],
            "content": content,
        }
    return operation


def _content(route: Route) -> dict[str, Any]:
    if route.action in _OWN_KINDS:
        return _OWN_KINDS[route.action]
    if route.action == "snapshot":
        return {_JSON: {"schema": _reference(Snapshot)}}
    if route.answer is None:
        return {_JSON: {"schema": {"type": "object"}}}
    return {_JSON: {"schema": _reference(route.answer)}}


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if route.changes and route.action != "reload":
        yield {
            "name": "dry_run",
            "in": "query",
            "description": "say what would be done, and change nothing",
            "schema": {"type": "boolean", "default": False},
        }
    if route.action == "moves":
        number = {"type": "integer", "minimum": 0, "maximum": MOST_MOVES, "default": DEFAULT_MOVES}
        yield {"name": "limit", "in": "query", "schema": number}
