"""What virtio 1.2 demands of virtqueues: split rings (2.7) and packed ones (2.8), in our words.

Pure.
"""

from aerostat.testing.conformance.statements.terms import Group, Statement, Strength, Who

DRIVER, DEVICE, BOTH = Who.DRIVER, Who.DEVICE, Who.BOTH
MUST, MUST_NOT, DESCRIBED = Strength.MUST, Strength.MUST_NOT, Strength.DESCRIBED

SPLIT = Group(
    "Split rings",
    (
        Statement(
            "VQ-DRV-1", DRIVER, MUST, "2.7.1",
            "Align the descriptors to 16 bytes, the avail ring to 2, the used ring to 4.",
        ),
        Statement("VQ-DRV-2", DRIVER, MUST, "2.7.4.2", "Put writable buffers after readable ones."),
        Statement(
            "VQ-DRV-3", DRIVER, MUST_NOT, "2.7.5.2",
            "Make a chain of more than 4 GiB (so no loops), or of more descriptors than the queue "
            "has (2.7.5.3.1).",
        ),
        Statement(
            "VQ-DRV-4", DRIVER, MUST_NOT, "2.7.5.3.1",
            "Use an indirect table without the feature, or inside another, or with a descriptor "
            "after it.",
        ),
        Statement(
            "VQ-DRV-5", DRIVER, MUST_NOT, "2.7.6.1", "Move the avail index back."
        ),
        Statement(
            "VQ-DRV-6", DRIVER, MUST, "2.7.13.3.1",
            "Have everything in memory before the avail index says so, and the index before "
            "looking whether to notify (2.7.13.4.1).",
        ),
        Statement(
            "VQ-DRV-7", DRIVER, MUST, "2.7.7.1",
            "Have 0 or 1 in the avail ring's flags; with EVENT_IDX, 0.",
        ),
        Statement(
            "VQ-DRV-8", DRIVER, MUST, "2.7.10.1",
            "Notify if the used ring's flags are 0; with EVENT_IDX, if avail_event is passed.",
        ),
        Statement(
            "VQ-DRV-9", DRIVER, MUST, "2.7.7.1",
            "Bear notifications for nothing; begin with the used ring's flags at 0 (2.7.10.1).",
        ),
        Statement(
            "VQ-DRV-10", DRIVER, MUST_NOT, "3.3.1",
            "Change what a live queue has been given; only a reset takes buffers back.",
        ),
        Statement(
            "VQ-DRV-11", DRIVER, MUST_NOT, "2.7.8.3",
            "Believe anything in a buffer beyond the used length.",
        ),
        Statement(
            "VQ-DEV-1", DEVICE, MUST_NOT, "2.7.5.1",
            "Write to a readable buffer or to a descriptor; nor should it read a writable one.",
        ),
        Statement(
            "VQ-DEV-2", DEVICE, MUST_NOT, "2.7.4.1",
            "Expect any framing: what belongs together may be split anywhere.",
        ),
        Statement(
            "VQ-DEV-3", DEVICE, MUST, "2.7.5.3.2",
            "Ignore WRITE on a descriptor of an indirect table; take such a table after any number "
            "of plain descriptors.",
        ),
        Statement(
            "VQ-DEV-4", DEVICE, MUST, "2.7.8.2",
            "Have the used element in memory before the used index says so, and in it no more "
            "than the bytes written: 0 for all that a balloon's driver only tells.",
        ),
        Statement(
            "VQ-DEV-5", DEVICE, MUST, "2.7.7.2",
            "Notify if the avail ring's flags are 0; with EVENT_IDX, if used_event is passed.",
        ),
        Statement("VQ-DEV-6", DEVICE, MUST, "2.7.10.2", "Bear notifications for nothing."),
        Statement("VQ-DEV-7", DEVICE, MUST, "6.2", "With IN_ORDER: use buffers in their order."),
        Statement(
            "LEG-VQ-1", BOTH, MUST, "2.7.2",
            "Under the legacy interface: lay the three parts out in one piece, the used ring on "
            "the next boundary of the transport, 4096 bytes on PCI.",
        ),
        Statement(
            "LEG-VQ-2", BOTH, MUST, "2.7.3",
            "Under the legacy interface: keep the rings in the guest's own order of bytes.",
        ),
    ),
)  # fmt: skip

PACKED = Group(
    "Packed rings",
    (
        Statement(
            "PK-1", BOTH, DESCRIBED, "2.8.1",
            "Begin both wrap counters at 1; a descriptor is available where AVAIL is as the "
            "counter and USED is not, used where both are.",
        ),
        Statement("PK-2", DRIVER, MUST, "2.8.6", "Have the buffer id in a list's last descriptor."),
        Statement(
            "PK-3", DEVICE, MUST, "2.8.6",
            "Write one used descriptor for a list, and go on after the list's length.",
        ),
        Statement(
            "PK-4", DRIVER, MUST, "2.8.21.1", "Write the flags of a list's first descriptor last."
        ),
        Statement(
            "PK-5", DRIVER, MUST_NOT, "2.8.19",
            "Mix an indirect table and plain descriptors in a list.",
        ),
        Statement(
            "PK-6", BOTH, DESCRIBED, "2.8.10",
            "Say by two event structures which notifications are wanted; a single descriptor's "
            "only with EVENT_IDX.",
        ),
    ),
    needs="RING_PACKED",
)  # fmt: skip

GROUPS = (SPLIT, PACKED)
