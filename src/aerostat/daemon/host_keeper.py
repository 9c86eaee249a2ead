"""The host of a running manager: its budget as configured, its backstop, its pressure's alarm.

Touches what `aerostat.host` touches, and a cgroup's `memory.high` if the configuration asks for it.
"""

import asyncio
from collections.abc import Callable

from aerostat.daemon.config.tables import Amount, Config, HostConfig
from aerostat.daemon.names import clean_text
from aerostat.errors import AerostatError
from aerostat.host.budget import Budget, HostReading
from aerostat.host.cgroup import Cgroup
from aerostat.host.host import Host
from aerostat.host.meminfo import read_meminfo
from aerostat.host.pressure import PressureTrigger

# Kept for the host itself where the configuration is silent: its kernel, its services, and the
# page cache of its disks' images.
_DEFAULT_RESERVE = Amount(fraction=0.10)


class HostKeeper:
    """The host that a configuration describes. Raises `MissingError` where it is not so."""

    def __init__(self, config: Config) -> None:
        self._config = config.host
        self._host = _host(config.host)
        self._wake: Callable[[], None] | None = None

    def read(self, held: int) -> HostReading:
        """Read the host, where all guests together hold `held` bytes. Raises `MissingError`."""
        return self._host.read(held)

    def start(self, wake: Callable[[], None]) -> str:
        """Set the backstop, if it is asked for, and return what is wrong with that, or "".

        From now on `wake` is called when the host is under pressure, where the kernel tells.
        """
        self._wake = wake
        trigger = self._host.pressure_trigger()
        if trigger is not None:
            asyncio.get_running_loop().add_reader(trigger.fileno(), self._alarmed, trigger)
        try:
            self._host.set_backstop()
        except AerostatError as error:
            return clean_text(error)
        return ""

    def change(self, config: Config) -> str:
        """Have the host as `config` describes it; return as `start` does.

        Raises `MissingError`; nothing is changed then.
        """
        if config.host == self._config:
            return ""
        fresh, wake = _host(config.host), self._wake
        self.close()
        self._host, self._config = fresh, config.host
        return "" if wake is None else self.start(wake)

    def close(self) -> None:
        """Watch no longer, and put back what was set."""
        trigger = self._host.pressure_trigger() if self._wake is not None else None
        if trigger is not None:
            asyncio.get_running_loop().remove_reader(trigger.fileno())
        self._wake = None
        self._host.close()

    def _alarmed(self, trigger: PressureTrigger) -> None:
        trigger.wait(0.0)  # heard: or the loop would be told of it for ever
        if self._wake is not None:
            self._wake()


def _host(config: HostConfig) -> Host:
    backstop = None
    if config.cgroup is not None and config.memory_high:
        backstop = Cgroup.find(config.cgroup, now=False)
    return Host(_budget(config), backstop=backstop)


def _budget(config: HostConfig) -> Budget:
    if config.budget is not None:
        return Budget(size=config.budget)
    if config.cgroup is not None:
        return Budget(cgroup=config.cgroup)
    reserve = config.reserve or _DEFAULT_RESERVE
    return Budget(reserve=reserve.of(read_meminfo().total))
