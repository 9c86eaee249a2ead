"""How fast things go in a guest: the costs in time, all of them stated here. Pure.

Counts are what the model is held against real guests by; times are not, since emulation distorts
them. These are those of an ordinary host with a solid-state disk.
"""

from typing import NamedTuple

from aerostat.units import GIB, KIB, MIB


class Pace(NamedTuple):
    """How fast a guest is at what it does with memory; bytes a second where nothing else is said.

    A named tuple of floats: compiled code takes it as it is.
    """

    background: float = 1.0 * GIB
    """What kswapd gets through, of clean files: one thread, about 4 microseconds a page."""
    reclaim: float = 2.0 * GIB
    """What a program that has to reclaim itself gets through: it takes only what is nearest."""
    disk: float = 250.0 * MIB
    """Swap and files, by faults and by writing back: small pieces, 8000 of 32 KiB a second."""
    fault_cluster: float = 32.0 * KIB
    """How much one major fault brings in, bytes: eight pages (Linux's vm.page-cluster is 3)."""
    round: float = 2.0
    """In how many seconds programs use all of their working set once."""
    inflate: float = 1.5 * GIB
    """What a balloon takes of free memory. Published: 1.7 GiB/s (KVM), most of it in requests."""
    deflate: float = 3.0 * GIB
    """What a balloon gives back: the same requests, and no pages to be found."""
    strained_deflate: float = 0.1
    """The share of that which is left while programs wait all the time, as its driver does, too."""
    retry: float = 0.2
    """Seconds until a balloon that found nothing tries again (Linux, virtio_balloon.c)."""
    report_delay: float = 2.0
    """Seconds after which free memory is reported (Linux, mm/page_reporting.c), ..."""
    report: float = 72.0 * MIB
    """... and how much of it: 1.5 GiB took QEMU 7.2 and 11.1 20 to 26 seconds."""


PACE = Pace()
