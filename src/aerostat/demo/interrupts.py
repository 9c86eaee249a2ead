"""Being asked to end: SIGINT, SIGTERM, SIGHUP. Touches the signal handlers of the event loop."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from aerostat.errors import AerostatError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Answer = TypeVar("_Answer")


class EndedError(AerostatError):
    """Somebody asked for the end before there was anything to tell."""


class Interrupts:
    """`asked` is set by the first signal, `urged` by the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.urged = asyncio.Event()

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals within."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.ask)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def ask(self) -> None:
        """Ask for the end; once more, and it is urgent."""
        (self.urged if self.asked.is_set() else self.asked).set()

    async def unless_asked(self, what: Awaitable[_Answer]) -> _Answer:
        """Wait for `what`; raise `EndedError`, and cancel it, when the end is asked for first."""
        task = asyncio.ensure_future(what)
        asked = asyncio.ensure_future(self.asked.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise EndedError("ended before all guests were up")
            return task.result()
        finally:
            asked.cancel()
            task.cancel()
            await asyncio.gather(task, asked, return_exceptions=True)
