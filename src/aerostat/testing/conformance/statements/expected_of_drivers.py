"""What no specification demands of a balloon's driver, and everybody counts on, in our words.

Pure. ``USE-`` is what makes it of use, ``BAD-`` that it, and its guest, live through what no device
should do. The clause is the one that says what would have been right.
"""

from aerostat.testing.conformance.statements.terms import Group, Statement, Strength, Who

DRIVER = Who.DRIVER
DESCRIBED = Strength.DESCRIBED

USE = Group(
    "What a balloon's driver is for",
    (
        Statement(
            "USE-DRV-1", DRIVER, DESCRIBED, "5.5.6.3",
            "Answer with statistics while requests on other queues wait.",
        ),
        Statement(
            "USE-DRV-2", DRIVER, DESCRIBED, "5.5.6.1",
            "Take pages back when num_pages falls below what the balloon has.",
        ),
    ),
)  # fmt: skip

BAD = Group(
    "Bad devices",
    (
        Statement(
            "BAD-DRV-1", DRIVER, DESCRIBED, "5.5.6",
            "Bear a device that keeps requests to itself, and go on when they are returned.",
        ),
        Statement(
            "BAD-DRV-2", DRIVER, DESCRIBED, "5.5.6.1",
            "Survive any num_pages, more than there is and 2^32 - 1 among them, and take the pages "
            "back when it falls.",
        ),
        Statement(
            "BAD-DRV-3", DRIVER, DESCRIBED, "5.5.4",
            "Bear changes of num_pages that come faster than they can be followed, and "
            "announcements of none; end at the last one.",
        ),
        Statement(
            "BAD-DRV-4", DRIVER, DESCRIBED, "2.7.8",
            "Survive used elements that name nothing that is with the device. The queue may be "
            "given up; the guest, and its other queues, go on.",
        ),
        Statement(
            "BAD-DRV-5", DRIVER, DESCRIBED, "2.7.8",
            "Survive a used index that makes no sense, likewise.",
        ),
        Statement(
            "BAD-DRV-6", DRIVER, DESCRIBED, "vhost-user, Communication",
            "Survive the loss of the device while a request is with it.",
        ),
        Statement(
            "BAD-DRV-7", DRIVER, DESCRIBED, "5.5.6.5",
            "Bear rounds of hints that are cut short, and serve a whole one afterwards.",
        ),
    ),
)  # fmt: skip

GROUPS = (USE, BAD)
