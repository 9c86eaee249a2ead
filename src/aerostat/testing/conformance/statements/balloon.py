"""What virtio 1.2 demands of a traditional balloon and its driver (5.5), in our own words.

Pure. Pages are of 4096 bytes; a page is *in the balloon* from when its number is put on the
inflate queue until its number is put on the deflate queue.
"""

from aerostat.testing.conformance.statements.terms import Group, Statement, Strength, Who

DRIVER, DEVICE, BOTH = Who.DRIVER, Who.DEVICE, Who.BOTH
MUST, MUST_NOT = Strength.MUST, Strength.MUST_NOT
SHOULD, SHOULD_NOT = Strength.SHOULD, Strength.SHOULD_NOT
MAY, DESCRIBED = Strength.MAY, Strength.DESCRIBED

FEATURES = Group(
    "The balloon's features",
    (
        Statement(
            "DRV-FEAT-1", DRIVER, SHOULD, "5.5.3.1", "Take MUST_TELL_HOST where it is offered."
        ),
        Statement(
            "DRV-FEAT-2", DRIVER, SHOULD, "5.5.3.1",
            "Leave PAGE_POISON, unless every deflated page is filled with poison_val at once.",
        ),
        Statement(
            "DRV-FEAT-3", DRIVER, MUST_NOT, "5.5.3.1",
            "Take PAGE_REPORTING without PAGE_POISON while counting on what free pages contain.",
        ),
        Statement(
            "DEV-FEAT-1", DEVICE, MAY, "5.5.3.2",
            "Refuse a driver that leaves an offered MUST_TELL_HOST, by not setting FEATURES_OK.",
        ),
        Statement(
            "LEG-FEAT-1", DEVICE, MUST, "5.5.3.2",
            "Serve a legacy driver that leaves MUST_TELL_HOST: it cannot be refused politely.",
        ),
        Statement(
            "LEG-FEAT-2", DEVICE, SHOULD, "5.5.3.2",
            "Let that driver use pages before it has told of them.",
        ),
    ),
)  # fmt: skip

CONFIGURATION = Group(
    "The balloon's configuration space",
    (
        Statement(
            "CFG-1", BOTH, DESCRIBED, "5.5.4",
            "num_pages and actual are always there; free_page_hint_cmd_id counts with "
            "FREE_PAGE_HINT, poison_val with PAGE_POISON.",
        ),
        Statement("CFG-2", DRIVER, DESCRIBED, "5.5.4", "Do not write free_page_hint_cmd_id."),
        Statement(
            "LEG-CFG-1", BOTH, MUST, "5.5.4",
            "Keep the fields little-endian under the legacy interface too, where everything else "
            "is as the guest has it.",
        ),
    ),
)  # fmt: skip

OPERATION = Group(
    "Inflating and deflating",
    (
        Statement(
            "DRV-OP-1", DRIVER, SHOULD, "5.5.6.1", "Give pages while num_pages exceeds actual."
        ),
        Statement(
            "DRV-OP-2", DRIVER, MAY, "5.5.6.1", "Take pages back while num_pages is below actual."
        ),
        Statement(
            "DRV-OP-3", DRIVER, MAY, "5.5.6.1",
            "Give pages while num_pages is not below actual.",
        ),
        Statement(
            "DRV-OP-4", DRIVER, MUST_NOT, "5.5.6.1",
            "Without DEFLATE_ON_OOM: take pages back beyond what num_pages permits.",
            "The letter forbids it wherever num_pages is not above actual, so every deflation, "
            "against DRV-OP-2. We hold what must be meant: none unless num_pages is below actual.",
        ),
        Statement(
            "DRV-OP-5", DRIVER, MAY, "5.5.6.1",
            "With DEFLATE_ON_OOM: take pages back all the same where the guest would fail "
            "without them.",
        ),
        Statement(
            "DRV-OP-6", DRIVER, MUST, "5.5.6.1",
            "Name every page that is taken back on the deflate queue.",
        ),
        Statement(
            "DRV-OP-7", DRIVER, MUST_NOT, "5.5.6.1",
            "With MUST_TELL_HOST: use a page before the buffer that takes it back has returned.",
        ),
        Statement("DRV-OP-8", DRIVER, MAY, "5.5.6.1", "Without MUST_TELL_HOST: use it sooner."),
        Statement(
            "DRV-OP-9", DRIVER, MUST_NOT, "5.5.6.1",
            "Use a page while the buffer that gives it is still with the device.",
        ),
        Statement(
            "DRV-OP-10", DRIVER, MUST_NOT, "5.5.6.1",
            "Ask for a page back while the buffer that gives it is still with the device.",
        ),
        Statement(
            "DRV-OP-11", DRIVER, MUST, "5.5.6.1",
            "Write the new size of the balloon to actual when it has changed.",
        ),
        Statement(
            "DRV-OP-12", DRIVER, MAY, "5.5.6.1", "Write actual once for several changes."
        ),
        Statement(
            "DRV-OP-13", DRIVER, DESCRIBED, "5.5.6",
            "Send readable arrays of 32-bit page numbers, addresses divided by 4096, whatever "
            "the guest's own page size.",
        ),
        Statement(
            "DRV-OP-14", DRIVER, DESCRIBED, "5.5.6",
            "Take back only what is in the balloon; give nothing that is in it already.",
            "Nowhere said, yet nothing else makes sense. Linux gives one page and takes back "
            "another when it moves memory, beyond num_pages for a moment.",
        ),
        Statement(
            "DEV-OP-1", DEVICE, MAY, "5.5.6.2",
            "Change a page from when its number is seen on the inflate queue until the buffer "
            "is used.",
        ),
        Statement(
            "DEV-OP-2", DEVICE, MAY, "5.5.6.2",
            "With MUST_TELL_HOST: change it until its number is seen on the deflate queue and "
            "that buffer is used. Without: no longer once the inflate buffer is used.",
            "A device that discards pages later, in batches, may do so only with MUST_TELL_HOST.",
        ),
        Statement(
            "DEV-OP-3", DEVICE, DESCRIBED, "5.5.6",
            "Acknowledge each request, by using its buffer.",
        ),
        Statement(
            "LEG-OP-1", DRIVER, SHOULD, "5.5.6.2.1",
            "Ignore the used length: old devices put the whole buffer's there.",
        ),
        Statement("LEG-OP-2", DRIVER, MUST, "5.5.6.2.1", "Write actual in one access of 4 bytes."),
        Statement(
            "LEG-OP-3", DEVICE, SHOULD_NOT, "5.5.6.2.1",
            "Take actual before its most significant byte is there: old drivers wrote the bytes "
            "one by one, that one last.",
        ),
    ),
)  # fmt: skip

STATISTICS = Group(
    "Memory statistics",
    (
        Statement(
            "DRV-STATS-1", DRIVER, MUST, "5.5.6.3.1",
            "Have never more than one buffer with the device.",
        ),
        Statement(
            "DRV-STATS-2", DRIVER, MUST, "5.5.6.3.1",
            "Begin by making one readable buffer available.",
        ),
        Statement(
            "DRV-STATS-3", DRIVER, MUST, "5.5.6.3.1",
            "Answer each buffer that comes back with another.",
        ),
        Statement(
            "DRV-STATS-4", DRIVER, MUST, "5.5.6.3.1",
            "Fill a buffer, an entry for each figure that there is, before the device can see it.",
            "The first one is empty by 5.5.5, and ignored by every device; Linux fills it too.",
        ),
        Statement(
            "DRV-STATS-5", DRIVER, MUST, "5.5.6.3.1",
            "Send whole entries only.",
            "The letter says a multiple of 6 bytes, left over from when values had 32 bits; "
            "entries have 10 since. We hold drivers to 10, and none to 6: Linux sends 80 or 160.",
        ),
        Statement("DRV-STATS-6", DRIVER, MAY, "5.5.6.3.1", "Send the entries in any order."),
        Statement("DRV-STATS-7", DRIVER, MAY, "5.5.6.3.1", "Leave figures out."),
        Statement(
            "DRV-STATS-8", DRIVER, MUST, "5.5.6.3.1",
            "Send the same figures each time.",
        ),
        Statement("DEV-STATS-1", DEVICE, MUST, "5.5.6.3.2", "Pass over tags that are not known."),
        Statement("DEV-STATS-2", DEVICE, MUST, "5.5.6.3.2", "Take the entries in any order."),
        Statement(
            "DEV-STATS-3", DEVICE, DESCRIBED, "5.5.6.3",
            "Ask by returning the buffer, and keep the answer's buffer for asking again.",
        ),
        Statement(
            "LEG-STATS-1", BOTH, MUST, "5.5.6.3.3",
            "Under the legacy interface: have the entries in the guest's own order of bytes.",
        ),
        Statement(
            "LEG-STATS-2", DEVICE, SHOULD, "5.5.6.3.3",
            "Under the legacy interface: ignore the first buffer, which old drivers did not fill.",
        ),
    ),
    needs="STATS_VQ",
)  # fmt: skip

HINTING = Group(
    "Free page hinting",
    (
        Statement(
            "DRV-HINT-1", DRIVER, MUST, "5.5.6.5.1", "Send command ids in buffers of 4 bytes."
        ),
        Statement(
            "DRV-HINT-2", DRIVER, MUST, "5.5.6.5.1", "Begin a round with the current command id."
        ),
        Statement("DRV-HINT-3", DRIVER, MUST_NOT, "5.5.6.5.1", "Send that id a second time."),
        Statement(
            "DRV-HINT-4", DRIVER, SHOULD, "5.5.6.5.1",
            "Send free pages as writable buffers while there is a command id (2 or more).",
        ),
        Statement(
            "DRV-HINT-5", DRIVER, SHOULD, "5.5.6.5.1", "Stop when the id becomes STOP or DONE."
        ),
        Statement(
            "DRV-HINT-6", DRIVER, MUST, "5.5.6.5.1", "Send STOP (0) when no pages are left."
        ),
        Statement(
            "DRV-HINT-7", DRIVER, MAY, "5.5.6.5.1",
            "Use hinted pages again at any time, their buffers returned or not.",
        ),
        Statement(
            "DRV-HINT-8", DRIVER, MUST, "5.5.6.5.1", "Expect anything in a hinted page."
        ),
        Statement(
            "DRV-HINT-9", DRIVER, MUST, "5.5.6.5.1",
            "Write to a hinted page before it is used again ahead of DONE.",
        ),
        Statement(
            "DRV-HINT-10", DRIVER, SHOULD, "5.5.6.5.1", "Use all of them again upon DONE."
        ),
        Statement(
            "DEV-HINT-1", DEVICE, SHOULD, "5.5.6.5.2",
            "Have STOP as the id while hints are of no use.",
        ),
        Statement(
            "DEV-HINT-2", DEVICE, MUST_NOT, "5.5.6.5.2",
            "Use an id again before the driver's STOP has come.",
        ),
        Statement(
            "DEV-HINT-3", DEVICE, MUST, "5.5.6.5.2", "Ignore pages of any but the current id."
        ),
        Statement(
            "DEV-HINT-4", DEVICE, MAY, "5.5.6.5.2",
            "Change a hinted page that was not written to since the id was set.",
            "Only who tracks writes can know that; a vhost-user device does not.",
        ),
        Statement(
            "DEV-HINT-5", DEVICE, MUST_NOT, "5.5.6.5.2", "Change hinted pages after DONE."
        ),
        Statement(
            "DEV-HINT-6", DEVICE, MUST, "5.5.6.5.2",
            "Set DONE when the hinted pages are not needed any more.",
        ),
        Statement(
            "LEG-HINT-1", BOTH, MUST, "5.5.6.5.3",
            "Under the legacy interface: have the ids in buffers in the guest's own order of "
            "bytes; in the configuration space they stay little-endian.",
        ),
    ),
    needs="FREE_PAGE_HINT",
)  # fmt: skip

POISON = Group(
    "Page poison",
    (
        Statement(
            "DRV-POISON-1", DRIVER, MUST, "5.5.6.6.1",
            "Fill deflated pages with poison_val when they are used again.",
        ),
        Statement(
            "DRV-POISON-2", DRIVER, MUST, "5.5.6.6.1", "Write poison_val before DRIVER_OK."
        ),
        Statement(
            "DRV-POISON-3", DRIVER, MUST_NOT, "5.5.6.6.1", "Change it while DRIVER_OK is set."
        ),
        Statement(
            "DEV-POISON-1", DEVICE, MAY, "5.5.6.6.2", "Take poison_val for a hint.",
            "With PAGE_REPORTING it is more than a hint: DEV-REP-2.",
        ),
    ),
    needs="PAGE_POISON",
)  # fmt: skip

REPORTING = Group(
    "Free page reporting",
    (
        Statement(
            "DRV-REP-1", DRIVER, MUST, "5.5.6.7.1",
            "Without PAGE_POISON: expect anything in a page that was reported.",
        ),
        Statement(
            "DRV-REP-2", DRIVER, MUST, "5.5.6.7.1",
            "With PAGE_POISON: fill pages with poison_val before they are reported.",
        ),
        Statement(
            "DRV-REP-3", DRIVER, MUST_NOT, "5.5.6.7.1",
            "Use a page while the buffer that reports it is with the device.",
        ),
        Statement("DRV-REP-4", DRIVER, MAY, "5.5.6.7.1", "Report at any time from DRIVER_OK on."),
        Statement("DRV-REP-5", DRIVER, SHOULD, "5.5.6.7.1", "Prefer large pages to small ones."),
        Statement(
            "DRV-REP-6", DRIVER, SHOULD, "5.5.6.7.1", "Leave reported pages alone where possible."
        ),
        Statement(
            "DEV-REP-1", DEVICE, MAY, "5.5.6.7.2",
            "Without PAGE_POISON: change a reported page until its buffer is used.",
        ),
        Statement(
            "DEV-REP-2", DEVICE, MUST_NOT, "5.5.6.7.2",
            "With PAGE_POISON: turn a reported page into anything but poison_val. What is punched "
            "becomes zeros, so with any other value it is left alone.",
        ),
        Statement(
            "DEV-REP-3", DEVICE, DESCRIBED, "5.5.6.7.2",
            "Change nothing in a reported page once its buffer is used.",
        ),
    ),
    needs="PAGE_REPORTING",
)  # fmt: skip

GROUPS = (FEATURES, CONFIGURATION, OPERATION, STATISTICS, HINTING, POISON, REPORTING)
