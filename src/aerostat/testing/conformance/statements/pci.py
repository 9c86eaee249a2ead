"""What virtio 1.2 demands over PCI (4.1) that a balloon's driver can meet with, in our words.

Pure. Numbered here, since nobody else has numbered them.
"""

from aerostat.testing.conformance.statements.terms import Group, Statement, Strength, Who

DRIVER, DEVICE, BOTH = Who.DRIVER, Who.DEVICE, Who.BOTH
MUST, MUST_NOT = Strength.MUST, Strength.MUST_NOT
SHOULD, DESCRIBED = Strength.SHOULD, Strength.DESCRIBED

PCI = Group(
    "PCI",
    (
        Statement(
            "PCI-1", DRIVER, MUST, "4.1.3.1",
            "Access each field in its own width, fields of 64 bits in two halves.",
        ),
        Statement(
            "PCI-2", DRIVER, MUST, "4.1.4.1",
            "Pass over capabilities of a reserved kind, or in a reserved BAR.",
        ),
        Statement(
            "PCI-3", DRIVER, SHOULD, "4.1.4.1",
            "Use the first structure of each kind that it can.",
        ),
        Statement(
            "PCI-4", DRIVER, MUST, "4.1.4.1", "Take capabilities longer than the ones it knows."
        ),
        Statement(
            "PCI-5", DRIVER, MUST, "4.1.4.3.2",
            "Wait, after a reset, until the status reads 0.",
        ),
        Statement(
            "PCI-6", DRIVER, MUST, "4.1.4.3.2", "Set everything of a queue before it is enabled."
        ),
        Statement("PCI-7", DRIVER, MUST_NOT, "4.1.4.3.2", "Write 0 to queue_enable."),
        Statement(
            "PCI-8", DRIVER, MUST_NOT, "4.1.4.3.2",
            "Give a queue a size that is not a power of two.",
        ),
        Statement(
            "PCI-9", DEVICE, MUST, "4.1.4.3.1", "Say by queue_size 0 that there is no such queue."
        ),
        Statement(
            "PCI-10", DEVICE, MUST, "4.1.4.3.1",
            "Change config_generation if the configuration changed since it was last read.",
        ),
        Statement("PCI-11", DEVICE, MUST, "4.1.4.5.1", "Clear the ISR when it is read."),
        Statement(
            "PCI-12", DEVICE, MUST_NOT, "4.1.5.1.2.1",
            "Interrupt for what has no vector (0xffff).",
        ),
        Statement(
            "PCI-13", DRIVER, MUST, "4.1.5.2",
            "Notify by writing the queue's index, 16 bits, at the notification structure's offset "
            "plus queue_notify_off times its multiplier.",
        ),
        Statement(
            "LEG-PCI-1", BOTH, MUST, "4.1.4.10",
            "Under the legacy interface: use the registers at the start of BAR 0, the device's "
            "own after them, 4 bytes further on where MSI-X is enabled.",
        ),
        Statement(
            "LEG-PCI-2", DRIVER, DESCRIBED, "4.1.5.1.3",
            "Under the legacy interface: give a queue's place as one page number of 4096 bytes, "
            "and take the size that the device says.",
        ),
    ),
)  # fmt: skip

GROUPS = (PCI,)
