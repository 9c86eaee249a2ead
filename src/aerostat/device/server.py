"""The device process as a whole: its two sockets, one front-end at a time, and its end.

Touches the sockets' paths, signals, and the loop; the rest is done in the rooms beside it.
Standard library only.
"""

import signal
import socket

from aerostat.device.commands import Commands
from aerostat.device.control import Control
from aerostat.device.guest import Guest
from aerostat.device.link import Link
from aerostat.device.log import Log
from aerostat.device.loop import READ, Loop
from aerostat.device.options import Options
from aerostat.device.sockets import Listener


class Server:
    """Listens at both sockets and serves; raises `UsageError` for a path that cannot be."""

    def __init__(self, options: Options) -> None:
        self._once = options.once
        self._loop = Loop()
        self._log = Log("aerostat device" + (f" {options.name}" if options.name else ""))
        self._guest = Guest(
            self._loop,
            self._log,
            size=options.size,
            features=options.features,
            queues=options.queues,
            discards_hints=options.discards_hints,
        )
        self._link: Link | None = None
        self._listener = Listener(options.socket)
        try:
            self._control_listener = Listener(options.control)
        except BaseException:
            self._listener.close()
            raise
        commands = Commands(
            self._guest, name=options.name, running=self._is_running, stop=self._loop.stop
        )
        self._control = Control(self._loop, self._control_listener, commands)
        self._guest.on_balloon_changed = self._control.balloon_changed

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT, ``quit``, or with `once` until the front-end leaves."""
        waker, signals = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._loop.stop())
        self._loop.watch(signals.fileno(), READ, self._loop.stop)
        self._await_front_end()
        try:
            self._loop.run()
        finally:
            signal.set_wakeup_fd(-1)
            waker.close()
            signals.close()
            self._close()

    def _is_running(self) -> bool:
        return self._link is not None and self._link.running

    def _await_front_end(self) -> None:
        self._loop.watch(self._listener.fileno(), READ, self._accept)

    def _accept(self) -> None:
        connection = self._listener.accept()
        if connection is None:
            return
        # One guest, one balloon: the next front-end waits in the backlog until this one leaves.
        self._loop.unwatch(self._listener.fileno())
        self._link = Link(self._loop, self._guest, connection, self._link_closed)

    def _link_closed(self) -> None:
        self._link = None
        if self._once:
            self._loop.stop()
        else:
            self._await_front_end()

    def _close(self) -> None:
        self._control.close()
        self._once = True  # no other front-end is awaited
        if self._link is not None:
            self._link.close()
        self._listener.close()
        self._control_listener.close()
        self._loop.close()
