"""The client of a running manager's API (see `api`). Standard library only, blocking, light.

Every call may raise `LinkError` (no manager there), `UsageError` (it refuses), `GuestError`,
`NotReservedError` or `NotPermittedError`.
"""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aerostat.daemon import paths
from aerostat.errors import LinkError, UsageError

SCHEMA = 1
_TIMEOUT = 5.0
# A row is about 2 KiB: room for many thousands of guests, and a bound all the same.
_LARGEST_ANSWER = 64 << 20


class GuestError(UsageError):
    """No guest has this name, or more than one has; `keys` are the candidates then."""

    def __init__(self, message: str, keys: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys


class NotReservedError(UsageError):
    """Nothing is reserved for this name."""


class NotPermittedError(UsageError):
    """The manager lets its caller look, and not change anything."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Asks the manager that listens on `path`. Sizes are bytes, times seconds."""

    def __init__(self, path: Path | None = None, timeout: float = _TIMEOUT) -> None:
        self.path = path or paths.manager_socket()
        self._timeout = timeout

    def status(self) -> dict[str, Any]:
        """Return the manager's own state and its hosts' accounts."""
        return self._call("GET", "/v1/status")

    def snapshot(self) -> dict[str, Any]:
        """Return everything; `aerostat.daemon.snapshot.Snapshot.from_json` reads it."""
        return self._call("GET", "/v1/snapshot")

    def guests(self) -> list[dict[str, Any]]:
        """Return a row for each guest."""
        return list(self._call("GET", "/v1/guests")["guests"])

    def guest(self, name: str) -> dict[str, Any]:
        """Return the row of the guest of this name, UUID or key."""
        return self.guest_at(name)[0]

    def guest_at(self, name: str) -> tuple[dict[str, Any], float]:
        """Return the same, and when it held: seconds since the epoch."""
        answer = self._call("GET", f"/v1/guests/{_part(name)}")
        return dict(answer["guest"]), float(answer["wall"])

    def explain(self, name: str) -> str:
        """Return in words what is done with a guest, and why."""
        return str(self._call("GET", f"/v1/guests/{_part(name)}/explain")["explanation"])

    def explain_values(self, name: str) -> dict[str, Any]:
        """Return the figures behind `explain`: see `Manager.explain_values`."""
        return dict(self._call("GET", f"/v1/guests/{_part(name)}/explain")["values"])

    def examine(self, name: str) -> dict[str, Any]:
        """Return how a guest is set up (see `aerostat.hypervisors.base.Examination`)."""
        return dict(self._call("GET", f"/v1/guests/{_part(name)}/examine")["examination"])

    def set_target(self, name: str, size: int | None, *, dry_run: bool = False) -> dict[str, Any]:
        """Pin a guest to `size` bytes, or let the manager decide again (None)."""
        return self._change("PUT", f"/v1/guests/{_part(name)}/target", {"size": size}, dry_run)

    def hold(self, name: str, note: str = "", *, dry_run: bool = False) -> dict[str, Any]:
        """Have a guest left as it is."""
        return self._change("POST", f"/v1/guests/{_part(name)}/hold", {"note": note}, dry_run)

    def resume(self, name: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Have a guest managed again that was held."""
        return self._change("DELETE", f"/v1/guests/{_part(name)}/hold", None, dry_run)

    def release(self, name: str | None, *, dry_run: bool = False) -> dict[str, Any]:
        """Give a guest (all, if None) memory back, as much as the host can cover."""
        path = "/v1/release" if name is None else f"/v1/guests/{_part(name)}/release"
        return self._change("POST", path, None, dry_run)

    def reservations(self) -> list[dict[str, Any]]:
        """Return all reservations, in the order in which they are backed."""
        return list(self._call("GET", "/v1/reservations")["reservations"])

    def reserve(
        self, name: str, size: int, lease: float, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Keep `size` bytes for the guest `name`, for `lease` seconds; return the reservation."""
        body = {"name": name, "size": size, "lease": lease}
        return dict(self._change("POST", "/v1/reservations", body, dry_run)["reservation"])

    def renew(self, name: str, lease: float, *, dry_run: bool = False) -> dict[str, Any]:
        """Have the reservation for `name` last `lease` seconds from now; return it."""
        path = f"/v1/reservations/{_part(name)}"
        with _about_reservations():
            return dict(self._change("PUT", path, {"lease": lease}, dry_run)["reservation"])

    def cancel(self, name: str, *, dry_run: bool = False) -> dict[str, Any]:
        """End the reservation for `name`."""
        with _about_reservations():
            return self._change("DELETE", f"/v1/reservations/{_part(name)}", None, dry_run)

    def reload(self) -> str | None:
        """Have the configuration read again; return what of it waits for the next start."""
        problem: str | None = self._call("POST", "/v1/reload")["problem"]
        return problem

    def moves(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last moves, newest first."""
        return list(self._call("GET", f"/v1/moves?limit={limit}")["moves"])

    def _change(self, method: str, path: str, body: object, dry_run: bool) -> dict[str, Any]:  # noqa: FBT001 - passed on
        return self._call(method, path + "?dry_run=true" * dry_run, body)

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = _Connection(self.path, self._timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            status, text = response.status, response.read(_LARGEST_ANSWER)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise LinkError(
                f"no manager listens on {self.path}; start one with: aerostat run"
            ) from error
        except PermissionError as error:
            raise LinkError(f"{self.path}: not permitted to talk to the manager") from error
        except (OSError, http.client.HTTPException) as error:
            raise LinkError(f"{self.path}: the manager does not answer: {error}") from error
        finally:
            connection.close()
        return _checked(status, text, self.path)


@contextlib.contextmanager
def _about_reservations() -> Iterator[None]:
    """Make of what is not found there what it is: no guest, but a reservation."""
    try:
        yield
    except GuestError as error:
        raise NotReservedError(str(error)) from error


def _checked(status: int, text: bytes, path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise LinkError(f"{path}: that is no manager of aerostat") from error
    if not isinstance(answer, dict) or answer.get("schema") != SCHEMA:
        raise LinkError(f"{path}: a manager of another version listens there")
    if status < 400:
        return answer
    message, keys = str(answer.get("error", status)), tuple(answer.get("keys", ()))
    if keys:
        raise GuestError("\n  ".join((message + ":", *keys)), keys)
    if status == http.client.NOT_FOUND:
        raise GuestError(message)
    if status == http.client.FORBIDDEN:
        raise NotPermittedError(message)
    if status >= http.client.INTERNAL_SERVER_ERROR:
        raise LinkError(f"{path}: {message}")
    raise UsageError(message)


def _part(name: str) -> str:
    return quote(name, safe="", errors="replace")
