"""The table of the API: what may be asked, with what, and how it is answered. Data only.

The server, the OpenAPI description and the operators' guide are made from it or compared with it.
"""

from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from aerostat.daemon.api import answers

DEFAULT_MOVES = 50
MOST_MOVES = 1000

_OF_A_GUEST = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_OF_A_CHANGE = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)
_OF_A_GUESTS_CHANGE = (*_OF_A_CHANGE, HTTPStatus.NOT_FOUND)

FAILURES = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: "what was asked is wrong, or refused: the text says why",
        HTTPStatus.FORBIDDEN: "you may look, and not change anything",
        HTTPStatus.NOT_FOUND: "there is no such guest or reservation",
        HTTPStatus.CONFLICT: "several guests have that name (`keys`), or the manager only observes",
        HTTPStatus.SERVICE_UNAVAILABLE: "the first tick is not done, or too many are connected",
    }
)


class Route(NamedTuple):
    """One thing to ask. `action` is what it is called in `api_handlers` and in OpenAPI.

    `answer` None is text of its own kind, not JSON of ours. What changes something has `changes`
    and takes ``?dry_run=true``.
    """

    verb: str
    path: str
    action: str
    summary: str
    answer: type[Struct] | None
    body: type[Struct] | None = None
    failures: tuple[HTTPStatus, ...] = ()

    @property
    def changes(self) -> bool:
        """Say whether it changes anything."""
        return self.verb != "GET"


_GUEST = "/v1/guests/{name}"
_RESERVATION = "/v1/reservations/{name}"

ROUTES = (
    Route("GET", "/v1/status", "status", "the manager and its hosts", answers.Status),
    Route("GET", "/v1/snapshot", "snapshot", "everything", None),
    Route("GET", "/v1/guests", "guests", "all guests", answers.Guests),
    Route(
        "GET",
        _GUEST,
        "guest",
        "one guest, by name, UUID or key (percent-encoded)",
        answers.Guest,
        failures=_OF_A_GUEST,
    ),
    Route(
        "GET",
        f"{_GUEST}/explain",
        "explain",
        "what is done with it, and why: in words and in figures",
        answers.Explanation,
        failures=(HTTPStatus.BAD_REQUEST, *_OF_A_GUEST),
    ),
    Route(
        "GET",
        f"{_GUEST}/examine",
        "examine",
        "how it is set up",
        answers.Examined,
        failures=(HTTPStatus.BAD_REQUEST, *_OF_A_GUEST),
    ),
    Route(
        "PUT",
        f"{_GUEST}/target",
        "set_target",
        "fixes its size, or lets the manager decide again",
        answers.Pinned,
        answers.Target,
        _OF_A_GUESTS_CHANGE,
    ),
    Route(
        "POST",
        f"{_GUEST}/hold",
        "hold",
        "leaves it as it is, whatever happens",
        answers.Held,
        answers.Hold,
        _OF_A_GUESTS_CHANGE,
    ),
    Route(
        "DELETE",
        f"{_GUEST}/hold",
        "resume",
        "lets the manager move it again",
        answers.Held,
        failures=_OF_A_GUESTS_CHANGE,
    ),
    Route(
        "POST",
        f"{_GUEST}/release",
        "release_guest",
        "gives it memory back, as much as the host can cover",
        answers.Released,
        failures=_OF_A_GUESTS_CHANGE,
    ),
    Route(
        "POST",
        "/v1/release",
        "release",
        "the same for all guests",
        answers.Released,
        failures=_OF_A_CHANGE,
    ),
    Route("GET", "/v1/reservations", "reservations", "room kept for guests", answers.Reservations),
    Route(
        "POST",
        "/v1/reservations",
        "reserve",
        "keeps room for a guest to come; the same name again renews it",
        answers.Reserved,
        answers.Claim,
        _OF_A_CHANGE,
    ),
    Route(
        "PUT",
        _RESERVATION,
        "renew",
        "has a reservation last longer",
        answers.Reserved,
        answers.Renewal,
        _OF_A_GUESTS_CHANGE,
    ),
    Route(
        "DELETE",
        _RESERVATION,
        "cancel",
        "ends a reservation",
        answers.Cancelled,
        failures=_OF_A_GUESTS_CHANGE,
    ),
    Route("GET", "/v1/moves", "moves", "the last moves, the newest first", answers.Moves),
    Route(
        "POST",
        "/v1/reload",
        "reload",
        "reads the configuration again",
        answers.Reloaded,
        failures=_OF_A_CHANGE,
    ),
    Route("GET", "/v1/openapi.json", "openapi", "this table, for programs", None),
    Route("GET", "/metrics", "metrics", "metrics for Prometheus", None),
)
