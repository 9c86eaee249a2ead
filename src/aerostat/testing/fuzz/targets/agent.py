"""What a guest agent says of a guest, and libvirt of a domain."""

from aerostat.daemon.config.reading import own_settings
from aerostat.hypervisors.agents.figures import figures
from aerostat.hypervisors.libvirt.domain_xml import read_setup
from aerostat.testing.fuzz.target import Target

_VMSTAT = b"nr_free_pages 12345\npswpin 1\npswpout 2\npgfault 100\npgmajfault 5\noom_kill 0\n"
_MEMINFO = (
    b"MemTotal:        1000000 kB\nMemFree:           49380 kB\nMemAvailable:     500000 kB\n"
    b"Buffers:            1000 kB\nCached:           300000 kB\nHugePages_Total:       0\n"
)
_DOMAIN = b"""\
<domain type='kvm'><name>one</name>
<metadata><aerostat:memory xmlns:aerostat='urn:aerostat:domain:1' guarantee='25%' shares='2'/>
</metadata><memoryBacking><hugepages/><locked/></memoryBacking>
<devices><memballoon model='virtio' autodeflate='on'><stats period='10'/><alias name='balloon0'/>
</memballoon><hostdev type='pci'/><interface type='vdpa'/><channel type='unix'>
<target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel></devices>
</domain>
"""
_WORDS = tuple(
    b"nr_free_pages|pswpin|pgfault|MemTotal:|MemFree:|MemAvailable:| kB|\n|0|-1"
    b"|18446744073709551616|99999999999999999999999999|<domain>|</domain>|<!DOCTYPE|<!ENTITY|&a;|<![CDATA[|]]>|<stats"
    b"|period='|memballoon|metadata|hostdev|xmlns=|&#0;|&#x10ffff;|guarantee='|shares='|inf|nan"
    .split(b"|")
)  # fmt: skip


def run(case: bytes) -> None:
    """Read the text of one or of the other."""
    kind, text = case[:1], case[1:].decode("utf-8", "replace")
    if kind == b"x":
        setup = read_setup(text)
        assert 0 <= setup.period < 10**9
        _, problems = own_settings(setup.settings)
        assert len(problems) <= len(setup.settings)
        return
    vmstat, _, meminfo = text.partition("\x00")
    for value in figures(vmstat, meminfo).values():
        assert 0 <= value < 1 << 64


TARGET = Target(
    "agent",
    "what a guest agent says of a guest, and libvirt of a domain",
    run,
    seeds=lambda: (b"f" + _VMSTAT + b"\x00" + _MEMINFO, b"x" + _DOMAIN),
    words=_WORDS,
    longest=2048,
    text=True,
)
