"""What each guest is promised, by the configuration and by its own definition. Pure.

Worked out once for a guest, and again when what it depends on changes: with a thousand guests and
many patterns it would be most of a tick otherwise.
"""

from collections.abc import Mapping
from typing import NamedTuple

from aerostat.daemon.config import Config, Promise, own_settings
from aerostat.daemon.names import clean_text
from aerostat.hypervisors.base import GuestInfo


class _Known(NamedTuple):
    name: str
    max_size: int
    settings: Mapping[str, str]
    promise: Promise
    problems: tuple[str, ...]


class Promises:
    """The promises of one configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known: dict[str, _Known] = {}

    def of(self, info: GuestInfo, max_size: int) -> Promise:
        """Return what the guest `info` of `max_size` bytes is promised."""
        known = self._known.get(info.key)
        if known is None or (known.name, known.max_size, known.settings) != (
            info.name,
            max_size,
            info.settings,
        ):
            known = self._known[info.key] = self._work_out(info, max_size)
        return known.promise

    def problems(self) -> list[str]:
        """Return what is wrong with the definitions of guests."""
        return [
            clean_text(f"{known.name}: {problem}")
            for known in self._known.values()
            for problem in known.problems
        ]

    def forget(self, present: Mapping[str, object]) -> None:
        """Forget guests that are gone."""
        for key in self._known.keys() - present.keys():
            del self._known[key]

    def _work_out(self, info: GuestInfo, max_size: int) -> _Known:
        own, problems = own_settings(info.settings) if info.settings else (None, ())
        promise = self._config.promise(info.name, info.key, max_size, own)
        return _Known(info.name, max_size, info.settings, promise, problems)
