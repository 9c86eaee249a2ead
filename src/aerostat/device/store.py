"""systemd's descriptor store: a guest outlives the restart of its device's service.

At its end the process gives the service manager its state document, in a file of memory, and all
its descriptors, by name; the next process of the service finds them when it starts, as if one had
handed over to the other (`aerostat.device.handover`). Meanwhile the guest's requests wait.

Implements `FDSTORE` and `BARRIER` of sd_notify(3), and sd_listen_fds(3). Touches the environment,
the manager's socket, and the descriptors that it passes on; standard library only.
"""

import os
import select
import socket
from collections.abc import Mapping, MutableMapping
from typing import Any

from aerostat.device import document
from aerostat.device.named import Descriptors
from aerostat.errors import PeerError
from aerostat.vhost_user.descriptors import OwnedDescriptor

STATE = "state"

#: How long the service manager may take to look at what it was sent, in seconds.
BARRIER_SECONDS = 5.0

_FIRST = 3  # of the descriptors that a service is started with
_MOST = 253


def keep(
    environment: Mapping[str, str], state: Mapping[str, Any], descriptors: Mapping[str, int]
) -> None:
    """Give the manager what the next process needs; raises `OSError`, also if it does not look."""
    data = document.encode({**state, "descriptors": list(descriptors)})
    memory = os.memfd_create(STATE, os.MFD_CLOEXEC)
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(data)
        with _manager(environment) as manager:
            for name, number in {**descriptors, STATE: memory}.items():
                socket.send_fds(manager, [f"FDSTORE=1\nFDNAME={name}".encode()], [number])
            _await(manager)
    finally:
        os.close(memory)


def kept(environment: MutableMapping[str, str]) -> tuple[dict[str, Any], Descriptors] | None:
    """Return what the last process of this service has kept, and forget it; None: nothing.

    Raises `PeerError`, and closes all of it, where it cannot be gone on with.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    count = environment.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    if count != str(len(names)) or len(names) > _MOST:
        raise PeerError(f"{count} descriptors for {len(names)} names")
    owned = [OwnedDescriptor(_FIRST + number) for number in range(len(names))]
    try:
        for descriptor in owned:
            os.set_inheritable(descriptor.fileno(), False)
        _forget(environment, names)
        descriptors = Descriptors.named(names, owned)
        return _read(descriptors.take(STATE)), descriptors
    except BaseException as error:
        for descriptor in owned:
            descriptor.close()
        if isinstance(error, OSError):
            raise PeerError(f"what was kept: {error}") from error
        raise


def _read(memory: OwnedDescriptor) -> dict[str, Any]:
    try:
        with open(memory.release(), "rb") as file:  # noqa: PTH123 - a descriptor
            file.seek(0)
            return document.decode(file.read(document.MAX_SIZE))
    except OSError as error:
        raise PeerError(f"state document: {error}") from error


def _forget(environment: Mapping[str, str], names: list[str]) -> None:
    """Have the manager let go: what a process has open must end with it, or be kept again."""
    with _manager(environment) as manager:
        for name in names:
            manager.send(f"FDSTOREREMOVE=1\nFDNAME={name}".encode())


def _manager(environment: Mapping[str, str]) -> socket.socket:
    path = environment["NOTIFY_SOCKET"]
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        manager.connect("\0" + path[1:] if path.startswith("@") else path)
    except BaseException:
        manager.close()
        raise
    return manager


def _await(manager: socket.socket) -> None:
    """Wait until all of it was looked at: what a process says that is gone is not believed."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    try:
        socket.send_fds(manager, [b"BARRIER=1"], [theirs])
        os.close(theirs)
        if not select.select([ours], (), (), BARRIER_SECONDS)[0]:
            raise TimeoutError("the service manager does not look")
    finally:
        os.close(ours)
