"""Guest agents behind unix sockets of plain QEMU (asyncio).

QEMU has ``-chardev socket,path=…,server=on,wait=off,id=agent -device virtio-serial -device
virtserialport,chardev=agent,name=org.qemu.guest_agent.0``. Whoever connects talks to the agent, if
there is one: the connection itself says nothing of that. Answers carry no id, so they are paired
by their order, which holds from a ``guest-sync-delimited`` on: after an answer that did not come
the connection is given up, and the next begins with such a one.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from itertools import count
from pathlib import PurePath
from typing import Any

from aerostat.errors import LinkError, PeerError
from aerostat.hypervisors.agents.figures import AgentRefusedError, NoAgentError

# In an answer: a byte that no JSON text has, so that what came before it can be thrown away.
_DELIMITER = b"\xff"
# An answer to `guest-file-read` of 64 KiB is 88 KiB of base64; `guest-info` has 10 KiB.
_LARGEST_ANSWER = 256 * 1024


class AgentSockets:
    """The agents of the guests of a QMP connector.

    `pattern` is the path of a guest's socket, with ``{name}`` in the place of the guest's name
    (its monitor's file name without the ending).
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._links: dict[str, _AgentLink] = {}

    async def ask(
        self,
        key: str,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float = 1.0,
    ) -> Any:
        """Have an agent do something (see `guest_agent.Agents`)."""
        link = self._links.get(key)
        if link is None:
            name = PurePath(key.removeprefix("qmp:")).stem
            link = self._links[key] = _AgentLink(self._pattern.replace("{name}", name))
        try:
            async with asyncio.timeout(timeout):
                return await link.ask(command, arguments or {})
        except TimeoutError as error:
            link.close()
            raise LinkError(f"{link.path}: no guest agent answers within {timeout:g} s") from error
        except asyncio.CancelledError:
            link.close()
            raise
        except (OSError, EOFError) as error:
            link.close()
            if isinstance(error, FileNotFoundError):
                raise NoAgentError(f"{link.path} is not there") from error
            raise LinkError(f"{link.path}: {error}") from error
        except asyncio.LimitOverrunError as error:
            link.close()
            raise PeerError("the guest agent's answer is too long") from error
        except PeerError as error:
            if not isinstance(error, AgentRefusedError):
                link.close()
            raise

    def forget(self, key: str) -> None:
        """Let go of a guest that has gone."""
        link = self._links.pop(key, None)
        if link is not None:
            link.close()

    def close(self) -> None:
        """Let go of all."""
        for key in list(self._links):
            self.forget(key)


class _AgentLink:
    """One connection; what is asked at once is asked one after another."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()
        self._numbers = count(1)

    async def ask(self, command: str, arguments: Mapping[str, Any]) -> Any:
        async with self._turn:
            reader, writer = self._streams or await self._connect()
            writer.write(_encode(command, arguments))
            return _returned(await reader.readuntil(b"\n"))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=_LARGEST_ANSWER)
        self._streams = reader, writer
        number = next(self._numbers)
        # The byte ends whatever half of a command an earlier connection left in the agent.
        writer.write(_DELIMITER + _encode("guest-sync-delimited", {"id": number}))
        while True:
            with contextlib.suppress(asyncio.LimitOverrunError):
                await reader.readuntil(_DELIMITER)
                if _returned(await reader.readuntil(b"\n")) == number:
                    return reader, writer
                continue
            await reader.read(_LARGEST_ANSWER)  # an old answer without end: thrown away


def _encode(command: str, arguments: Mapping[str, Any]) -> bytes:
    return json.dumps({"execute": command, "arguments": dict(arguments)}).encode() + b"\n"


def _returned(line: bytes) -> Any:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PeerError("the guest agent's answer is no JSON") from error
    if not isinstance(answer, dict):
        raise PeerError("the guest agent's answer is no object")
    if "error" in answer:
        failure = answer["error"]
        text = failure.get("desc") if isinstance(failure, dict) else failure
        raise AgentRefusedError(f"the guest agent refuses: {str(text)[:200]}")
    return answer.get("return")
