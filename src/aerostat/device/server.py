"""The device process as a whole: its two sockets, one front-end at a time, and its end.

Its end may be another's beginning: see `aerostat.device.handover`. Touches the sockets' paths,
signals, and the loop; the rest is done in the rooms beside it. Standard library only.
"""

import os
import signal
import socket
from collections.abc import Mapping
from typing import Any

from aerostat.device.commands import Commands
from aerostat.device.control import Control
from aerostat.device.guest import Guest
from aerostat.device.link import Link
from aerostat.device.log import Log
from aerostat.device.loop import READ, Loop
from aerostat.device.named import Descriptors
from aerostat.device.options import Options
from aerostat.device.sockets import Door, Listener, adopt_socket
from aerostat.errors import PeerError


class Server:
    """Listens at both sockets and serves; raises `UsageError` for a path that cannot be.

    With `listeners`, those of another process.
    """

    def __init__(
        self, options: Options, listeners: tuple[Listener, Listener] | None = None
    ) -> None:
        self._options = options
        self._once = options.once
        self._terminated = False
        self._loop = Loop()
        self._log = Log("aerostat device" + (f" {options.name}" if options.name else ""))
        self._guest = Guest(
            self._loop,
            self._log,
            size=options.size,
            features=options.features,
            queues=options.queues,
            discards_hints=options.discards_hints,
            block_reads=options.block_reads,
        )
        self._link: Link | None = None
        self._listener, self._control_listener = listeners or _listen(options)
        self._door = Door(self._loop, self._listener, self._let_in)
        commands = Commands(
            self._guest, name=options.name, running=self._is_running, stop=self._loop.stop
        )
        self._control = Control(self._loop, self._control_listener, commands, self._hand_over)
        self._guest.on_balloon_changed = self._control.balloon_changed

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT, ``quit``, or with `once` until the front-end leaves."""
        waker, signals = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, lambda *_: self._loop.stop())
        signal.signal(signal.SIGTERM, lambda *_: self._terminate())
        self._loop.watch(signals.fileno(), READ, self._loop.stop)
        if self._link is None:
            self._door.open()
        else:
            self._link.resume()
        try:
            self._loop.run()
        finally:
            signal.set_wakeup_fd(-1)
            waker.close()
            signals.close()
            if self._terminated and self._options.descriptor_store:
                self._keep()
            self._close()

    def _terminate(self) -> None:
        self._terminated = True
        self._loop.stop()

    def _is_running(self) -> bool:
        return self._link is not None and self._link.running

    def _let_in(self, connection: socket.socket) -> None:
        # One guest, one balloon: the next front-end waits in the backlog until this one leaves.
        self._door.shut()
        self._guest.counters["front_ends"] += 1
        self._link = Link(self._loop, self._guest, connection, self._link_closed)

    def _link_closed(self) -> None:
        self._link = None
        if self._once:
            self._loop.stop()
        else:
            self._door.open()

    def _close(self) -> None:
        self._let_go()
        self._listener.close()
        self._control_listener.close()
        self._loop.close()

    def _let_go(self) -> None:
        """Leave everybody but those who want to come."""
        self._control.close()
        self._once = True  # no other front-end is awaited
        if self._link is not None:
            self._link.close()
        self._door.shut()

    # ---- going on in another process

    def _hand_over(self, connection: socket.socket) -> None:
        """Have whoever is at the other end go on, or go on here."""
        # Hardly any process needs it, and it weighs as much as all of vhost-user.
        from aerostat.device import handover  # noqa: PLC0415

        if self._link is not None:
            self._link.rest()
        if handover.offer(connection, self._state(), self._descriptors()):
            connection.close()
            self._leave()
            self._loop.stop()
            return
        handover.refuse(connection)
        self._log("nobody has taken over")
        if self._link is not None:
            self._link.resume()

    def _keep(self) -> None:
        """Leave everything to the next process of this service."""
        from aerostat.device import store  # noqa: PLC0415 - as above

        if self._link is not None:
            self._link.rest()
        try:
            store.keep(os.environ, self._state(), self._descriptors())
        except OSError as error:
            self._log(f"the guest cannot be kept: {error}")
        else:
            self._leave()

    def _leave(self) -> None:
        """Close everything, and leave to another process what it has of it: the paths, too."""
        self._let_go()
        self._listener.leave()
        self._control_listener.leave()

    def _state(self) -> dict[str, Any]:
        return {
            "options": self._options._asdict(),
            "listeners": {
                "socket": self._listener.identity,
                "control": self._control_listener.identity,
            },
            "device": self._guest.device.state(),
            "guest": self._guest.state(),
            "link": None if self._link is None else self._link.state(),
        }

    def _descriptors(self) -> dict[str, int]:
        ours = {"socket": self._listener.fileno(), "control": self._control_listener.fileno()}
        return ours if self._link is None else ours | self._link.descriptors

    def go_on(self, state: Mapping[str, Any], descriptors: Descriptors) -> None:
        """Be where another was, by its `state` and `descriptors`; `run` serves.

        Raises `PeerError` for what cannot be.
        """
        self._guest.device.restore(state["device"])
        self._guest.restore(state["guest"])
        if state["link"] is None:
            return
        connection = adopt_socket(descriptors.take("front-end"))
        self._link = Link(self._loop, self._guest, connection, self._link_closed)
        try:
            self._link.restore(state["link"], descriptors)
        except (OSError, ValueError) as error:
            raise PeerError(f"cannot go on: {error}") from error

    def abandon(self) -> None:
        """End without having run."""
        self._leave()
        self._loop.close()


def _listen(options: Options) -> tuple[Listener, Listener]:
    listener = Listener(options.socket)
    try:
        return listener, Listener(options.control)
    except BaseException:
        listener.close()
        raise
