"""Memory of each NUMA node, from `/sys/devices/system/node/node*/meminfo`. Reads those files."""

import contextlib
import re
from pathlib import Path
from typing import NamedTuple

from aerostat.host.proc import read_small

NODES = Path("/sys/devices/system/node")

# More nodes than any machine has that runs guests.
_MOST_NODES = 1024
_NODE = re.compile(r"node([0-9]{1,4})")
_LINE = re.compile(r"^Node [0-9]+ (\w+(?:\(\w+\))?):[ \t]+([0-9]{1,15}) kB$", re.MULTILINE)
# What the kernel can drop; it tells no MemAvailable of a node.
_RECLAIMABLE = ("Active(file)", "Inactive(file)", "SReclaimable")


class NodeMemory(NamedTuple):
    """One node, in bytes."""

    node: int
    total: int
    free: int
    reclaimable: int
    """Page cache and caches of the kernel, which can mostly be dropped."""


def parse_node(node: int, text: str) -> NodeMemory | None:
    """Return what a node's `meminfo` tells; None if it is not one, or the node has no memory."""
    sizes = {name: int(size_kib) * 1024 for name, size_kib in _LINE.findall(text)}
    total = sizes.get("MemTotal", 0)
    if not total or "MemFree" not in sizes:
        return None
    free = min(sizes["MemFree"], total)
    reclaimable = sum(sizes.get(name, 0) for name in _RECLAIMABLE)
    return NodeMemory(node, total, free, min(reclaimable, total - free))


def read_nodes(path: Path = NODES) -> tuple[NodeMemory, ...]:
    """Read all nodes that have memory, in order; none where the kernel knows no NUMA."""
    nodes = []
    with contextlib.suppress(OSError):
        names = (_NODE.fullmatch(entry.name) for entry in path.iterdir())
        numbers = sorted(int(name[1]) for name in names if name)
        for number in numbers[:_MOST_NODES]:
            with contextlib.suppress(OSError):  # a node may be unplugged meanwhile
                nodes.append(parse_node(number, read_small(path / f"node{number}/meminfo")))
    return tuple(node for node in nodes if node is not None)
