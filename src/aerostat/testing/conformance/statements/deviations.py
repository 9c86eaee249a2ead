"""What real devices and drivers are known to do otherwise than the specification says.

Pure. A test of other people's code should call these known, not new. Beside each implementation
is the version, or the time of the source, in which it was seen or read.
"""

from aerostat.testing.conformance.statements.terms import Deviation

DEVIATIONS = (
    Deviation(
        "Linux 7.2", "ST-DRV-3",
        "notifies the statistics queue while it sets the queues up",
    ),
    Deviation(
        "Linux 7.2", "DRV-POISON-2",
        "does not write poison_val again when it sets the device up after a suspend",
    ),
    Deviation(
        "Linux 6.1 to 7.2", "DRV-STATS-5",
        "sends 160, 140, 80 or 40 bytes: whole entries, not multiples of 6",
    ),
    Deviation(
        "Linux 6.1 and 6.12", "BAD-DRV-6",
        "in user-mode Linux: warns of its own interrupt when the device hangs up, and lives on",
    ),
    Deviation(
        "QEMU 11.1", "BAD-DRV-6",
        "aborts when the back-end of its generic vhost-user device is gone (vhost_ops)",
    ),
    Deviation(
        "QEMU 7.2", "ST-DEV-1",
        "serves a queue that is notified of before DRIVER_OK; drivers of old did so",
    ),
    Deviation(
        "QEMU 7.2", "VQ-DEV-3",
        "takes an indirect table only for the first descriptor of a chain",
    ),
    Deviation(
        "QEMU 7.2", "PCI-9",
        "passes over the selection of queues from 1024 on: it is still the queue of before",
    ),
    Deviation(
        "QEMU 7.2", "BAD-DEV-2",
        "takes one buffer of statistics for each notification, however many there are",
    ),
    Deviation(
        "QEMU 7.2", "BAD-DEV-6",
        "aborts on an indirect table of 0 bytes in a packed ring (address_space_cache_init)",
    ),
    Deviation(
        "aerostat's process guest", "BAD-DRV-4",
        "ends when its device breaks a ring: beside the driver there is little else of it",
    ),
    Deviation(
        "aerostat's process guest", "BAD-DRV-5",
        "ends when its device breaks a ring: beside the driver there is little else of it",
    ),
    Deviation(
        "Firecracker, 2026-08", "VQ-DEV-2",
        "looks at the first descriptor of a chain only",
    ),
    Deviation(
        "Firecracker, 2026-08", "DEV-OP-3",
        "never returns a request with more than 256 pages in a descriptor",
    ),
    Deviation(
        "Firecracker, 2026-08", "VQ-DEV-1",
        "takes readable buffers for reported pages, and writable ones for command ids",
    ),
    Deviation(
        "crosvm, 2026-08", "VQ-DEV-1",
        "takes readable buffers for reported pages",
    ),
    Deviation(
        "Cloud Hypervisor, 2026-08", "VQ-DEV-4",
        "returns reported pages with their whole length as written",
    ),
    Deviation(
        "libvhost-user of QEMU 7.2", "VU-DEV-1",
        "answers a request that there is not with success",
    ),
    Deviation(
        "libvhost-user of QEMU 7.2", "BAD-VU-1",
        "ends by an assertion when it is to end a ring that is not there",
    ),
)  # fmt: skip
