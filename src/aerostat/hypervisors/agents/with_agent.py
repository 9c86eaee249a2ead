"""A connector whose guests are read through their agents where their queue says nothing.

Sizes and targets are the hypervisor's matter all the same. Figures that came by an agent are
marked so (`Reading.way`), and are as old as the question that they answer. An agent is never
waited for: what it says is used in the round in which it has come. Talks to a connector and to
agents (asyncio).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from aerostat.errors import AerostatError
from aerostat.hypervisors.agents.figures import Agents, look_for_agent, read_figures
from aerostat.hypervisors.base import Connector, Examination, GuestInfo, Reading

# Pulling figures through a daemon costs the guest CPU time: not more often than this, and ever
# less often while there is no answer.
_EVERY = 2.0
_LONGEST = 60.0
_ANSWER_WITHIN = 2.0
# A guest that boots sends its first figures by the queue when its driver is loaded; until then an
# agent could not answer either.
_GRACE = 3.0


class AgentsThatEnd(Agents, Protocol):
    """Agents that can be let go of."""

    def forget(self, key: str) -> None:
        """Let go of a guest that has gone."""

    def close(self) -> None:
        """Let go of all."""


@dataclass(slots=True, eq=False)
class _Asked:
    """What is known of one guest's agent. Times are monotonic seconds."""

    since: float
    next: float = 0.0
    wait: float = _EVERY
    figures: dict[int, int] = field(default_factory=dict)
    made: float | None = None
    task: "asyncio.Task[None] | None" = None


class WithAgent:
    """`connector`, with `agents` for those of its guests whose balloons send no statistics."""

    def __init__(
        self,
        connector: Connector,
        agents: AgentsThatEnd,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._agents = agents
        self._clock = clock
        self._asked: dict[str, _Asked] = {}
        self.counters: Mapping[str, int] = getattr(connector, "counters", {})
        """What the connector counts, if it does."""

    @property
    def name(self) -> str:
        """The name of the connector."""
        return self._connector.name

    async def start(self) -> None:
        """Begin to look for guests."""
        await self._connector.start()

    async def close(self) -> None:
        """Let go of all guests and agents."""
        tasks = [asked.task for asked in self._asked.values() if asked.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._agents.close()
        await self._connector.close()

    async def guests(self) -> Sequence[GuestInfo]:
        """Return the guests there are now."""
        infos = await self._connector.guests()
        for key in self._asked.keys() - {info.key for info in infos}:
            gone = self._asked.pop(key)
            if gone.task is not None:
                gone.task.cancel()
            self._agents.forget(key)
        return infos

    async def sample(
        self,
        keys: Sequence[str],
        timeout: float,
    ) -> dict[str, Reading | AerostatError]:
        """Read these guests; who is silent on the queue is read through its agent."""
        answers = await self._connector.sample(keys, timeout)
        return {
            key: self._complete(answer) if isinstance(answer, Reading) else answer
            for key, answer in answers.items()
        }

    async def set_target(
        self,
        key: str,
        size: int,
        timeout: float,
    ) -> None:
        """Ask the guest to keep `size` bytes of RAM."""
        await self._connector.set_target(key, size, timeout)

    async def examine(
        self,
        key: str,
        timeout: float,
    ) -> Examination:
        """Find out how the guest is set up, and whether it has an agent that may read files."""
        examination, agent = await asyncio.gather(
            self._connector.examine(key, timeout),
            look_for_agent(self._agents, key, timeout / 2),
        )
        return replace(examination, agent=agent)

    def _complete(self, reading: Reading) -> Reading:
        if reading.statistics:  # the queue works; whatever the agent said is forgotten
            self._asked.pop(reading.key, None)
            return reading
        now = self._clock()
        asked = self._asked.setdefault(reading.key, _Asked(now, next=now + _GRACE))
        if now >= asked.next and (asked.task is None or asked.task.done()):
            asked.task = asyncio.create_task(self._ask(reading.key, asked))
        if asked.made is None:
            return reading
        return replace(reading, statistics=asked.figures, sampled_at=asked.made, way="agent")

    async def _ask(self, key: str, asked: _Asked) -> None:
        began = self._clock()
        try:
            asked.figures = await read_figures(self._agents, key, _ANSWER_WITHIN)
        except AerostatError:
            asked.wait = min(2 * asked.wait, _LONGEST)
        else:
            # Dated by the question: the figures are certainly not older.
            asked.made = began
            asked.wait = _EVERY
        asked.next = began + asked.wait
