"""Being what another device process was: its sockets, its front-end, its guest.

The other half of `aerostat.device.handover`, and of `aerostat.device.store`. Touches what a server
touches; standard library only.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from aerostat.device.handover import Offer
from aerostat.device.named import Descriptors
from aerostat.device.options import Options
from aerostat.device.server import Server
from aerostat.device.sockets import AdoptedListener, Listener
from aerostat.device.store import kept
from aerostat.errors import PeerError, UsageError


def take_over(path: str) -> Server:
    """Return a server that is what the one at the control socket `path` was; run it.

    Raises `PeerError` or `LinkError` where that one goes on.
    """
    offer = Offer(path)
    try:
        server = _successor(offer.document, offer.descriptors)
        try:
            offer.accept()
        except BaseException:
            server.abandon()
            raise
    finally:
        offer.close()
    return server


def resume(environment: MutableMapping[str, str]) -> Server | None:
    """Return a server that is what this service's last process was; None if it has kept nothing.

    Raises `PeerError` where it has kept what nobody can go on with.
    """
    found = kept(environment)
    if found is None:
        return None
    state, descriptors = found
    try:
        return _successor(state, descriptors)
    finally:
        descriptors.close()


def _successor(state: Mapping[str, Any], descriptors: Descriptors) -> Server:
    """Return a server that is what another was, by its document. Raises `PeerError`."""
    options = Options(**state["options"])
    listeners: list[Listener] = []
    try:
        for name, path in (("socket", options.socket), ("control", options.control)):
            device, inode = state["listeners"][name]
            listeners.append(AdoptedListener(path, descriptors.take(name), (device, inode)))
        server = Server(options, (listeners[0], listeners[1]))
    except (PeerError, UsageError) as error:
        for listener in listeners:
            listener.leave()
        raise PeerError(str(error)) from error
    try:
        server.go_on(state, descriptors)
    except BaseException:
        server.abandon()
        raise
    return server
