"""Asking the manager that runs: the API's client, and its errors as the user should read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerostat.cli.errors import NotThereError
from aerostat.daemon.api.client import Client, GuestError, NotPermittedError, NotReservedError
from aerostat.errors import LinkError


@contextmanager
def manager_at(socket: Path | None) -> Iterator[Client]:
    """Give a client of the manager that listens on `socket`, or in the usual place.

    Inside, having no manager or no such guest becomes `NotThereError`, and a socket that may not
    be opened, or a change that is not permitted, `PermissionError`.
    """
    client = Client(socket)
    try:
        yield client
    except GuestError as error:
        if error.keys:  # several have this name
            raise
        raise NotThereError(f"{error}; 'aerostat list' shows those there are") from error
    except NotReservedError as error:
        raise NotThereError(f"{error}; 'aerostat reserve --list' shows what is") from error
    except NotPermittedError as error:
        raise PermissionError(str(error)) from error
    except LinkError as error:
        match error.__cause__:
            case FileNotFoundError() | ConnectionRefusedError():
                raise NotThereError(
                    f"no manager is running at {client.path}; "
                    "start one with 'aerostat run --qmp GLOB'"
                ) from error
            case PermissionError():
                raise PermissionError(
                    f"{client.path}: you may not talk to this manager; "
                    "try as root, or join the socket's group"
                ) from error
        raise
