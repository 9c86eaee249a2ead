"""Reading the configuration again while the manager runs: all of it, or nothing.

Everything that can fail is done first; then the manager has the new configuration from its next
tick on. Connectors that stay the same keep their connections. Touches the configuration's files.
"""

import logging
from collections.abc import Callable

import msgspec

from aerostat.daemon.config import Config
from aerostat.daemon.connectors import reconnected
from aerostat.daemon.host_keeper import HostKeeper
from aerostat.daemon.manager import Manager
from aerostat.daemon.names import clean_text
from aerostat.daemon.policies import guide
from aerostat.daemon.settings import settings_of
from aerostat.errors import AerostatError, UsageError

log = logging.getLogger(__name__)

# What is made once, when the manager starts: its files and its sockets.
_AT_START = ("state_directory", "journal", "api", "metrics")


class Reloader:
    """Reloads the configuration of `manager`, which `read` returns."""

    def __init__(self, manager: Manager, host: HostKeeper, read: Callable[[], Config]) -> None:
        self._manager = manager
        self._host = host
        self._read = read
        self._first = manager.config

    async def reload(self) -> str | None:
        """Read it and have the manager keep it; return what of it waits for the next start.

        Raises `UsageError` where it is wrong: the old one holds then.
        """
        old = self._manager.config
        try:
            new = self._read()
            if not new.connector:
                raise UsageError("no guests are named: there is no [[connector]]")
            guided = self._manager.guide if new.policy == old.policy else guide(new.policy)
            connectors = reconnected(old, self._manager.connectors, new)
            backstop = self._host.change(new)
        except AerostatError as error:
            text = f"the configuration was not reloaded: {clean_text(error)}"
            self._manager.refuse(text)
            raise UsageError(text) from error
        waits = [key for key in _AT_START if getattr(new, key) != getattr(self._first, key)]
        problem = f"waits for the next start: {', '.join(waits)}" if waits else ""
        # What was made at the start is shown as it is, until it is made anew.
        kept = {key: getattr(self._first, key) for key in _AT_START}
        config = msgspec.structs.replace(new, **kept)
        self._manager.change(config, connectors, settings_of(config), guided, problem)
        self._manager.tell("memory.high", backstop)
        log.info("the configuration was reloaded")
        return problem or None
