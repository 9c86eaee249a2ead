"""The OpenAPI description is one, and what the manager really answers is what it says."""

import asyncio
import copy
import http.client
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from aerostat.daemon.api.description import description
from aerostat.daemon.api.routes import ROUTES
from aerostat.daemon.api.server import Api
from aerostat.testing.mocks.house import House
from aerostat.units import MIB

DESCRIPTION = description()


class Asked(NamedTuple):
    """A request that is answered with 200: the path's parameter, the query, the body."""

    name: str = ""
    query: str = ""
    body: object = None


# In this order: some need what those before them have done.
GOOD = {
    "status": Asked(),
    "snapshot": Asked(),
    "guests": Asked(),
    "guest": Asked("web%2F1"),
    "explain": Asked("web%2F1"),
    "examine": Asked("web%2F1"),
    "set_target": Asked("web%2F1", body={"size": 300 * MIB}),
    "hold": Asked("db", body={"note": "a restore"}),
    "resume": Asked("db"),
    "release_guest": Asked("db"),
    "release": Asked(query="?dry_run=true"),
    "reserve": Asked(body={"name": "new", "size": 64 * MIB, "lease": 60}),
    "reservations": Asked(),
    "renew": Asked("new", body={"lease": 90.5}),
    "cancel": Asked("new"),
    "moves": Asked(query="?limit=5"),
    "reload": Asked(),
    "openapi": Asked(),
    "metrics": Asked(),
}
BAD = [
    ("guest", Asked("nobody"), 404),
    ("explain", Asked("nobody"), 404),
    ("set_target", Asked("db", body={"size": 1}), 400),
    ("hold", Asked("db", query="?dry_run=yes", body={}), 400),
    ("resume", Asked("db"), 400),
    ("reserve", Asked(body={"name": "db", "size": MIB, "lease": 60}), 400),
    ("renew", Asked("nobody", body={"lease": 1}), 404),
    ("cancel", Asked("nobody"), 404),
]


@pytest.fixture
async def path(house: House, tmp_path: Path) -> AsyncIterator[Path]:
    """Give the socket of a manager with two guests, which has made some moves."""
    house.budget = 700 * MIB
    house.add("web/1", held=400 * MIB).uses(300 * MIB)
    house.add("db", held=400 * MIB).uses(300 * MIB)
    manager = await house.start()
    await house.clock.advance(5)

    async def reloader() -> None:
        """Find nothing new."""

    async def metrics(accept: str) -> tuple[bytes, str]:
        return f"# {accept}\n".encode(), "text/plain; version=0.0.4"

    manager.reloader = reloader
    api = Api(manager, tmp_path / "api", metrics=metrics)
    await api.start()
    yield tmp_path / "api"
    await api.close()


def ask(path: Path, action: str, asked: Asked) -> tuple[int, str, bytes]:
    """Return the status, the kind and the body of an answer."""
    route = next(route for route in ROUTES if route.action == action)
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(str(path))
    body = None if asked.body is None else json.dumps(asked.body)
    connection.request(route.verb, route.path.replace("{name}", asked.name) + asked.query, body)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, str(response.headers["Content-Type"]), text


def strict() -> dict[str, Any]:
    """Return the description as one that allows nothing which it does not name."""
    described = copy.deepcopy(DESCRIPTION)
    for schema in described["components"]["schemas"].values():
        schema["additionalProperties"] = False
    return described


def check(action: str, status: int, kind: str, text: bytes) -> None:
    """Hold an answer against the description."""
    route = next(route for route in ROUTES if route.action == action)
    described = strict()
    responses = described["paths"][route.path][route.verb.lower()]["responses"]
    assert str(status) in responses, text
    content = responses[str(status)]["content"]
    assert (kind.partition(";")[0]) in content
    if "application/json" in content:
        schema = content["application/json"]["schema"] | {"components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))


@pytest.mark.slow
def test_it_is_openapi() -> None:
    import openapi_spec_validator

    openapi_spec_validator.validate(DESCRIPTION)


def test_every_route_is_tried() -> None:
    assert set(GOOD) == {route.action for route in ROUTES}
    described = {
        operation["operationId"]
        for operations in DESCRIPTION["paths"].values()
        for operation in operations.values()
    }
    assert described == set(GOOD)


async def test_answers_are_as_described(path: Path) -> None:
    for action, asked in GOOD.items():
        status, kind, text = await asyncio.to_thread(ask, path, action, asked)
        assert status == 200, (action, text)
        check(action, status, kind, text)


async def test_refusals_are_as_described(path: Path) -> None:
    for action, asked, expected in BAD:
        status, kind, text = await asyncio.to_thread(ask, path, action, asked)
        assert status == expected, (action, text)
        check(action, status, kind, text)


def test_what_is_not_described_would_be_noticed() -> None:
    answer = {"schema": 1, "name": "a", "dry_run": False}
    check("cancel", 200, "application/json", json.dumps(answer).encode())
    with pytest.raises(jsonschema.ValidationError):
        check("cancel", 200, "application/json", json.dumps(answer | {"more": 1}).encode())
    with pytest.raises(jsonschema.ValidationError):
        check("cancel", 200, "application/json", json.dumps(answer | {"name": 1}).encode())
