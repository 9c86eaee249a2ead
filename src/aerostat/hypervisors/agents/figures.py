"""A guest's figures by its QEMU guest agent: the old way, for guests without a statistics queue.

The agent reads `/proc/vmstat` and `/proc/meminfo` inside the guest, as anybody there could, and
hands them out in base64 (QEMU Guest Agent Protocol, ``guest-file-open`` and the like). That takes
six round trips through a daemon of the guest, which a guest in need is slow to run; many
distributions forbid the agent to read files at all. Knows no transport: `Agents` has that.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from aerostat.balloon.statistics import Tag
from aerostat.errors import AerostatError, PeerError
from aerostat.guest.procfs import collect, parse_meminfo, parse_vmstat

VMSTAT, MEMINFO = "/proc/vmstat", "/proc/meminfo"

# /proc/vmstat of Linux 6.12 has 5 KiB. Bounds what a guest can make us hold and read.
_LARGEST_FILE = 64 * 1024
_LARGEST_VALUE = 1 << 64
_PAGE_SIZES = tuple(1 << shift for shift in range(12, 19))  # 4 KiB to 256 KiB
_TOTAL_LEAST = 1 << 20


class Agents(Protocol):
    """How the agents of some guests are reached."""

    async def ask(
        self,
        key: str,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float = 1.0,
    ) -> Any:
        """Have the agent of guest `key` do something, and return what it returned.

        Raises `AgentRefusedError` for an error that it answered with, and `LinkError` where it
        does not answer within `timeout` seconds.
        """


class AgentRefusedError(PeerError):
    """The agent answered with an error."""


class NoAgentError(PeerError):
    """This guest has no way to an agent: there is nothing to be asked again."""


async def read_figures(agents: Agents, key: str, limit: float) -> dict[int, int]:
    """Return guest `key`'s statistics by tag, as its balloon's driver would send them.

    Each of six round trips may take `limit` seconds. Raises `AerostatError`.
    """
    vmstat = await _read_file(agents, key, VMSTAT, limit)
    return figures(vmstat, await _read_file(agents, key, MEMINFO, limit))


def figures(vmstat: str, meminfo: str) -> dict[int, int]:
    """Return the statistics in the text of both files. Raises `PeerError` for other texts."""
    try:
        counters, sizes = parse_vmstat(vmstat), parse_meminfo(meminfo)
    except ValueError as error:  # a number of thousands of digits
        raise PeerError("the guest agent's files are not those of a Linux") from error
    found = collect(counters, sizes, page_size=_page_size(counters, sizes))
    if found.get(Tag.TOTAL_MEMORY, 0) < _TOTAL_LEAST or Tag.FREE_MEMORY not in found:
        raise PeerError("the guest agent's files say nothing of memory; is the guest a Linux?")
    return {tag: value for tag, value in found.items() if value < _LARGEST_VALUE}


async def look_for_agent(
    agents: Agents, key: str, limit: float
) -> Literal["absent", "blocked", "answers"]:
    """Tell whether guest `key` has an agent, and whether that may read files."""
    try:
        about = await agents.ask(key, "guest-info", timeout=limit)
        commands = about["supported_commands"]
        allowed = {command["name"] for command in commands if command.get("enabled", True)}
    except (AerostatError, KeyError, TypeError, AttributeError):
        return "absent"
    needed = {"guest-file-open", "guest-file-read", "guest-file-close"}
    return "answers" if needed <= allowed else "blocked"


async def _read_file(agents: Agents, key: str, path: str, limit: float) -> str:
    handle = await agents.ask(key, "guest-file-open", {"path": path, "mode": "r"}, timeout=limit)
    # Opened anew each time: seeking back in an open one may be answered from the agent's buffer.
    try:
        wanted = {"handle": handle, "count": _LARGEST_FILE}
        answer = await agents.ask(key, "guest-file-read", wanted, timeout=limit)
    finally:
        # What is left open counts against the agent's own limit.
        await agents.ask(key, "guest-file-close", {"handle": handle}, timeout=limit)
    return _text(answer)


def _text(answer: Any) -> str:
    try:
        encoded = answer["buf-b64"]
        if len(encoded) > 2 * _LARGEST_FILE:
            raise PeerError("the guest agent sends more than was asked for")
        return base64.b64decode(encoded, validate=True).decode("ascii", "replace")
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise PeerError("the guest agent's answer cannot be read") from error


def _page_size(vmstat: Mapping[str, int], meminfo: Mapping[str, int]) -> int:
    """Return the guest's page size: free memory is told in pages by one file, in bytes by both.

    The two are read at slightly different moments; sizes are a factor of two apart.
    """
    free_pages, free_memory = vmstat.get("nr_free_pages", 0), meminfo.get("MemFree", 0)
    if not free_pages or not free_memory:
        return _PAGE_SIZES[0]
    return min(_PAGE_SIZES, key=lambda size: abs(size * free_pages - free_memory))
