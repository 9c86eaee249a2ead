"""What virtio 1.2 demands of all devices and drivers: status, features, configuration space.

Pure. Sections 2.1, 2.2, 2.4, 2.5, 3.1 and 6, in our own words.
"""

from aerostat.testing.conformance.statements.terms import Group, Statement, Strength, Who

DRIVER, DEVICE = Who.DRIVER, Who.DEVICE
MUST, MUST_NOT = Strength.MUST, Strength.MUST_NOT
SHOULD, SHOULD_NOT = Strength.SHOULD, Strength.SHOULD_NOT

STATUS = Group(
    "Status and features",
    (
        Statement(
            "ST-DRV-1", DRIVER, MUST, "3.1.1",
            "Begin in this order: reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, see whether "
            "it stayed, queues, DRIVER_OK.",
        ),
        Statement(
            "ST-DRV-2", DRIVER, MUST_NOT, "2.1.1",
            "Take a status bit away, or begin again after FAILED, without a reset.",
        ),
        Statement(
            "ST-DRV-3", DRIVER, MUST_NOT, "3.1.1", "Notify a queue before DRIVER_OK."
        ),
        Statement(
            "ST-DRV-4", DRIVER, MUST_NOT, "2.2.1",
            "Take a feature that is not offered, or another one after FEATURES_OK.",
        ),
        Statement(
            "ST-DRV-5", DRIVER, SHOULD_NOT, "2.1.1",
            "Count on anything being completed once DEVICE_NEEDS_RESET is set.",
        ),
        Statement("ST-DRV-6", DRIVER, MUST, "6.1", "Take VERSION_1 where it is offered."),
        Statement(
            "ST-DEV-1", DEVICE, MUST_NOT, "2.1.2",
            "Take buffers, or notify of used ones, before DRIVER_OK.",
        ),
        Statement(
            "ST-DEV-2", DEVICE, SHOULD, "2.1.2",
            "Set DEVICE_NEEDS_RESET when it cannot go on, and (MUST) announce that as a change of "
            "the configuration if DRIVER_OK is set.",
            "Over vhost-user only a front-end that asks for the status hears of it.",
        ),
        Statement(
            "ST-DEV-3", DEVICE, MUST, "2.4.1",
            "Have status 0 after a reset, and leave the queues alone until it is set up again.",
        ),
        Statement(
            "ST-DEV-4", DEVICE, MUST_NOT, "2.2.2",
            "Offer what it does not do. It should take any sensible subset of its offer, and take "
            "again what it took before.",
        ),
        Statement(
            "ST-DEV-5", DEVICE, MUST, "6.2", "Offer VERSION_1; drivers must take it (6.1)."
        ),
        Statement(
            "ST-14-1", DEVICE, MUST_NOT, "2.1",
            "Virtio 1.4 only: offer the SUSPEND status bit and its feature 43 without doing it.",
        ),
    ),
)  # fmt: skip

CONFIGURATION = Group(
    "Configuration space",
    (
        Statement(
            "CFG-G-1", DRIVER, MUST_NOT, "2.5.1",
            "Take more than 32 bits, or several fields, for one moment's truth; it should read "
            "again when the generation changed meanwhile.",
        ),
        Statement(
            "CFG-G-2", DRIVER, MUST, "2.5.1",
            "See that its feature is offered before touching an optional field.",
        ),
        Statement(
            "CFG-G-3", DRIVER, MUST_NOT, "2.5.1", "Mind a space larger than the one it knows."
        ),
        Statement(
            "CFG-G-4", DEVICE, MUST, "2.5.2",
            "Let every field of an offered feature be read before FEATURES_OK.",
        ),
        Statement(
            "CFG-G-5", DRIVER, MUST_NOT, "3.1.1",
            "Write to the space before the features are settled.",
        ),
    ),
)  # fmt: skip

GROUPS = (STATUS, CONFIGURATION)
