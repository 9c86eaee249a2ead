"""Keeping a guest's workload going, and count of what became of it.

Touches the guest through its console only.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from aerostat.errors import AerostatError, LinkError, PeerError
from aerostat.model.workload import Workload
from aerostat.testing.laboratory import Guest

_LOOK_EVERY = 1.0


class Supervisor:
    """Plays a workload on one guest, and begins it anew whenever the kernel has killed it.

    `restarts` says how often that was.
    """

    def __init__(self, guest: Guest, workload: Workload, file: Path) -> None:
        self.guest = guest
        self.restarts = 0
        self._workload = workload
        self._file = file
        self._before: dict[str, float] = {}
        self._now: dict[str, float] = {}

    @property
    def worked(self) -> int:
        """Bytes of memory looked through and of file read."""
        return int(self._total("checked") + self._total("read"))

    @property
    def damaged(self) -> int:
        """How often a piece of memory was not as it had been filled."""
        return int(self._total("damaged"))

    @property
    def stall_seconds(self) -> float:
        """For how long taking memory kept the workload waiting."""
        return self._total("stalled")

    def _total(self, name: str) -> float:
        return self._before.get(name, 0.0) + self._now.get(name, 0.0)

    async def keep(self, clock: Callable[[], float]) -> None:
        """Play until cancelled, or until the guest is gone."""
        began = clock()
        with contextlib.suppress(LinkError):
            while True:
                try:
                    await self.guest.play(self._workload, file=self._file, since=clock() - began)
                    await self._look_after()
                except PeerError:
                    self._note_death()

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                self._now = await self.guest.report()
            except LinkError as error:
                if not error.retryable:
                    raise  # gone; otherwise it is busy: waiting for memory, for one

    def _note_death(self) -> None:
        self.restarts += 1
        for name in ("checked", "read", "damaged", "stalled"):
            self._before[name] = self._total(name)
        self._now = {}

    async def finish(self) -> int | None:
        """Take the last report; return how many processes the guest's kernel has killed.

        None where the guest does not answer.
        """
        try:
            with contextlib.suppress(PeerError):
                self._now = await self.guest.report()
            counters = await self.guest.counters()
        except AerostatError:
            return None
        return counters["vmstat"].get("oom_kill", 0)
