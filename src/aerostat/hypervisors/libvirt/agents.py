"""The agents inside the guests of a libvirtd, as `aerostat.hypervisors.agents.figures` asks them.

libvirt keeps the agent's channel to itself and passes commands on; it waits for an agent in whole
seconds. Talks to the session's helper (asyncio).
"""

import json
from collections.abc import Mapping
from typing import Any

from aerostat.hypervisors.agents.figures import AgentRefusedError, NoAgentError
from aerostat.hypervisors.libvirt.link import CallError
from aerostat.hypervisors.libvirt.session import LibvirtSession
from aerostat.hypervisors.libvirt.values import returned

# virterror.h: what the agent itself answers comes as an internal error.
_INTERNAL_ERROR, _ARGUMENT_UNSUPPORTED = 1, 74


class LibvirtAgents:
    """All agents that one session reaches."""

    def __init__(self, session: LibvirtSession) -> None:
        self._session = session

    async def ask(
        self,
        key: str,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float = 1.0,
    ) -> Any:
        """Have the agent of guest `key` do something, and return what it returned.

        Raises `AgentRefusedError` for an error that it answered with, `NoAgentError` where the
        domain has no channel to one, `LinkError` where it does not answer.
        """
        domain = self._session.find(key)
        request = {"execute": command, **({"arguments": dict(arguments)} if arguments else {})}
        try:
            raw = await self._session.ask(
                "agent",
                "agent",
                timeout,
                uuid=domain.uuid,
                command=json.dumps(request),
                seconds=max(1, round(timeout)),
            )
        except CallError as error:
            if error.code == _ARGUMENT_UNSUPPORTED:
                raise NoAgentError(str(error)) from error
            if error.code == _INTERNAL_ERROR:
                raise AgentRefusedError(str(error)) from error
            raise
        return returned(raw, "the agent's answer")

    def forget(self, key: str) -> None:
        """Nothing is kept of a guest."""

    def close(self) -> None:
        """Nothing is kept."""
