"""The manager and what shows it, in one process: for ``aerostat run``."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from enum import Enum

from rich.console import Console

from aerostat.cli.errors import UnavailableError
from aerostat.daemon.config import Config
from aerostat.daemon.connectors import connectors_of
from aerostat.daemon.manager import Watcher
from aerostat.daemon.service import Extras, serve
from aerostat.errors import MissingError, UsageError
from aerostat.metrics.service import Metrics
from aerostat.tui.lines import JsonLines, PlainLines
from aerostat.tui.live import LiveView, can_draw
from aerostat.tui.sink import Narrator, Sink


class Showing(Enum):
    """How a run is shown."""

    VIEW = "view"
    LINES = "lines"
    JSON = "json"

    @classmethod
    def choose(cls, *, view: bool | None, as_json: bool) -> "Showing":
        """Return how to show; `view` None means a view where there is a terminal for it."""
        if as_json:
            if view:
                raise UsageError("--view and --json exclude each other; give one of them")
            return cls.JSON
        drawable = can_draw(Console())
        if view and not drawable:
            raise UsageError("--view needs a terminal; leave it out for lines of text")
        return cls.VIEW if drawable and view is not False else cls.LINES


def run_manager(
    config: Config,
    showing: Showing,
    limit: float | None,
    read_config: Callable[[], Config],
) -> None:
    """Run a manager until a signal, at most `limit` seconds; show it meanwhile.

    `read_config` reads the configuration again, for SIGHUP.
    """
    _set_up_logging(showing)
    if not config.manage and showing is Showing.LINES:
        print("observing: nothing is changed; add --manage to move balloons", flush=True)
    asyncio.run(_run(config, _sink(showing), limit, read_config))


async def _run(
    config: Config,
    sink: Sink,
    limit: float | None,
    read_config: Callable[[], Config],
) -> None:
    loop = asyncio.get_running_loop()
    troubles: list[Exception] = []
    task: asyncio.Task[None]

    def give_up(error: Exception) -> None:
        """End because nothing can be shown any more (the reader of a pipe has gone)."""
        troubles.append(error)
        loop.call_soon_threadsafe(task.cancel)

    narrator = Narrator(sink, on_error=give_up)
    extras = _extras(config, [narrator.show])
    serving = serve(config, connectors_of(config), extras=extras, read_config=read_config)
    task = asyncio.create_task(serving, name="manager")
    # Cancelled once, the manager ends as it should; a second Ctrl-C cancels that ending too.
    # `serve` sets its own handler when the task takes its first step, just before this call.
    loop.call_soon(lambda: loop.add_signal_handler(signal.SIGINT, task.cancel))
    timer = loop.call_later(limit, task.cancel) if limit is not None else None
    narrator.start()
    try:
        await asyncio.wait([task])
    finally:
        if timer is not None:
            timer.cancel()
        await asyncio.to_thread(narrator.close)
    if troubles:
        raise troubles[0]
    if task.cancelling() > 1:
        raise KeyboardInterrupt
    if not task.cancelled():
        _result(task)


def _result(task: "asyncio.Task[None]") -> None:
    """Raise what ended the manager, if anything did; the configuration was right by then."""
    try:
        task.result()
    except (UsageError, MissingError) as error:
        raise UnavailableError(str(error)) from error


def _extras(config: Config, watchers: Sequence[Watcher]) -> Extras:
    metrics = Metrics()
    servers = []
    if config.metrics.enabled:
        # Imported here: aiohttp is not light, and the API may be off.
        from aerostat.metrics.listener import Listener, parse_address

        servers.append(Listener(metrics.answer, *parse_address(config.metrics.listen)))
    return Extras(watchers=[*watchers, metrics.watch], servers=servers, metrics=metrics.answer)


def _sink(showing: Showing) -> Sink:
    makers: dict[Showing, Callable[[], Sink]] = {
        Showing.VIEW: lambda: LiveView(Console()),
        Showing.LINES: lambda: PlainLines(sys.stdout),
        Showing.JSON: lambda: JsonLines(sys.stdout),
    }
    return makers[showing]()


def _set_up_logging(showing: Showing) -> None:
    """Send warnings to standard error; but not into a view, which shows what is wrong itself."""
    if showing is Showing.VIEW:
        logging.getLogger().addHandler(logging.NullHandler())
    else:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
