"""A nursery: starts process guests as children that share what it has loaded.

Python and NumPy are most of what a small process guest weighs; children of one parent have them
in common. It is told what to do over a socket of its own (SOCK_SEQPACKET), one JSON object a
packet: ``{"arguments": [...], "log": PATH}``, with the guest's console as a descriptor, starts one,
which is answered by ``{"started": PID}``; ``{"kill": PID}`` ends one. Of each that has ended it
says ``{"ended": PID, "status": STATUS}``, where a status below zero is a signal. When nobody is at
the other end of the socket any more, it ends all its guests, and itself. Touches processes.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from aerostat.device.loop import READ, Loop

_LONGEST_PACKET = 1 << 16

Main = Callable[[list[str]], int]


class Nursery:
    """Serves `link`; each child calls `main` with its arguments."""

    def __init__(self, link: socket.socket, main: Main) -> None:
        self._link = link
        self._main = main
        self._loop = Loop()
        self._children: dict[int, int] = {}  # process numbers, by descriptor

    def run(self) -> None:
        """Serve until the other end is closed."""
        # The collector would write to every object that children share.
        gc.collect()
        gc.freeze()
        self._loop.watch(self._link.fileno(), READ, self._asked)
        self._loop.run()
        for child in self._children.values():
            self._kill(child)

    def _asked(self) -> None:
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._link, _LONGEST_PACKET, 1)
        except OSError:
            packet = b""
        if not packet:
            self._loop.stop()
            return
        request = json.loads(packet)
        if "kill" in request:
            self._kill(request["kill"])
        else:
            self._start(request["arguments"], request["log"], descriptors[0])

    def _kill(self, child: int) -> None:
        if child in self._children.values():  # and not reaped, so that the number is still its own
            os.kill(child, signal.SIGKILL)

    def _start(self, arguments: list[str], log: str, console: int) -> None:
        child = os.fork()
        if child == 0:
            self._be_guest(arguments, log, console)
        os.close(console)
        descriptor = os.pidfd_open(child)
        self._children[descriptor] = child
        self._loop.watch(descriptor, READ, lambda: self._bury(descriptor))
        self._say(started=child)

    def _be_guest(self, arguments: list[str], log: str, console: int) -> NoReturn:
        """Go on as a guest in this newly forked process."""
        status = 1
        try:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            self._link.close()
            self._loop.close()
            for descriptor in self._children:
                os.close(descriptor)
            status = self._main([*arguments, "--console", str(console)])
        except BaseException:  # noqa: BLE001 - the log is all that is left to tell it to
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _bury(self, descriptor: int) -> None:
        self._loop.unwatch(descriptor)
        os.close(descriptor)
        _, ended = os.waitpid(child := self._children.pop(descriptor), 0)
        self._say(ended=child, status=os.waitstatus_to_exitcode(ended))

    def _say(self, **message: int) -> None:
        with contextlib.suppress(OSError):  # nobody is there; `_asked` will see it
            self._link.send(json.dumps(message).encode())
