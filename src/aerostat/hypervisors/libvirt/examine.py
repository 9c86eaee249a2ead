"""How a domain is set up, and the command or the XML that sets right what is not (asyncio).

Changes nothing. What the guest agent may do is asked of the agent itself, where the connection
may talk to it.
"""

import shlex
from typing import Literal

from aerostat.balloon.statistics import Tag
from aerostat.hypervisors.agents.figures import Agents, look_for_agent
from aerostat.hypervisors.base import Examination
from aerostat.hypervisors.libvirt.domain import Domain
from aerostat.hypervisors.libvirt.domain_xml import AGENT_CHANNEL, Setup

Agent = Literal["absent", "blocked", "answers"]

_BALLOON = """\
<memballoon model='virtio' autodeflate='on' freePageReporting='on'>
  <stats period='{period}'/>
</memballoon>"""
_CHANNEL = f"""\
<channel type='unix'>
  <target type='virtio' name='{AGENT_CHANNEL}'/>
</channel>"""


async def examination(
    domain: Domain,
    uri: str,
    *,
    may_change: bool,
    period: int,
    agents: Agents | None,
    limit: float,
) -> Examination:
    """Return how a domain is set up that has been looked at just now.

    `period` is the one that statistics should have, seconds. `agents` reaches the agent in the
    guest, which has `limit` seconds to answer; None where that is not allowed.
    """
    setup = domain.setup
    if setup is None:
        return Examination(domain.key, "libvirt", running=domain.running, may_change=may_change)
    sends = bool(domain.statistics)
    return Examination(
        domain.key,
        "libvirt",
        running=domain.running,
        may_change=may_change,
        balloon=setup.balloon,
        driver=domain.answered if setup.balloon and not domain.busy else None,
        statistics=sends or (False if domain.answered else None),
        interval=_period(domain, setup),
        deflate_on_oom=setup.deflate_on_oom if setup.balloon else None,
        free_page_reporting=setup.free_page_reporting if setup.balloon else None,
        huge_pages=setup.huge_pages,
        locked_memory=setup.locked_memory,
        passthrough=setup.passthrough,
        swap=True if domain.statistics.get(Tag.SWAP_OUT) else None,
        agent=await _agent(setup, agents, domain.key, limit),
        mending=_mending(domain, setup, uri, period),
    )


def _period(domain: Domain, setup: Setup) -> int | None:
    """Return the period of its statistics, but for what we have made of it meanwhile."""
    if not setup.balloon:
        return None
    return setup.period if domain.period_found is None else domain.period_found


async def _agent(setup: Setup, agents: Agents | None, key: str, limit: float) -> Agent | None:
    if not setup.agent_channel or not setup.agent_connected:
        return "absent"
    return None if agents is None else await look_for_agent(agents, key, limit)


def _mending(domain: Domain, setup: Setup, uri: str, period: int) -> dict[str, str]:
    """Return what sets each field right, as a command to be typed or XML to be put in."""
    virsh = f"virsh -c {shlex.quote(uri)}"
    name = shlex.quote(domain.name)
    edit = f"{virsh} edit {name}"
    restart = "then shut the guest down, and start it again"
    balloon = f"{edit}    # in <devices>, {restart}\n{_BALLOON.format(period=period)}"
    backing = f"{edit}    # in <memoryBacking>, take out {{}}; {restart}"
    agent = "in the guest: apt install qemu-guest-agent    # or: dnf install qemu-guest-agent"
    return {
        "running": f"{virsh} resume {name}",
        "balloon": balloon,
        "deflate_on_oom": balloon,
        "free_page_reporting": balloon,
        "interval": f"{virsh} dommemstat {name} --period {period} --live --config",
        "driver": "in a Linux guest: modprobe virtio_balloon\n"
        "in a Windows guest: the Balloon driver of the virtio-win disk, and its service",
        "statistics": "in a Windows guest, as its administrator: blnsvr.exe -i",
        "huge_pages": backing.format("<hugepages/>"),
        "locked_memory": backing.format("<locked/>"),
        "agent": agent
        if setup.agent_channel
        else f"{edit}    # in <devices>, {restart}\n{_CHANNEL}\n{agent}",
    }
