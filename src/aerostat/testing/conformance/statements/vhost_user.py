"""What vhost-user demands of a back-end with rings and a configuration space, in our words.

Pure. From "Vhost-user Protocol" (QEMU, docs/interop/vhost-user), whose sections are named, not
numbered. Numbered here, since nobody else has.
"""

from aerostat.testing.conformance.statements.terms import Group, Statement, Strength, Who

DEVICE = Who.DEVICE
MUST, MUST_NOT, DESCRIBED = Strength.MUST, Strength.MUST_NOT, Strength.DESCRIBED

VHOST_USER = Group(
    "vhost-user",
    (
        Statement(
            "VU-DEV-1", DEVICE, MUST, "vhost-user, Communication",
            "Answer what has an answer, and with REPLY_ACK whatever asks for one: 0 if it "
            "succeeded, anything else if it did not.",
        ),
        Statement(
            "VU-DEV-2", DEVICE, MUST, "vhost-user, Communication",
            "Take messages as they come: in pieces, or several at once.",
        ),
        Statement(
            "VU-DEV-3", DEVICE, MUST_NOT, "vhost-user, Starting and stopping rings",
            "Take buffers of a ring that is not enabled.",
        ),
        Statement(
            "VU-DEV-4", DEVICE, DESCRIBED, "vhost-user, Starting and stopping rings",
            "Look at a ring when it is enabled: its kick may have come before.",
            "QEMU's kicks are there already when a ring is described.",
        ),
        Statement(
            "VU-DEV-5", DEVICE, MUST, "vhost-user, Starting and stopping rings",
            "Stop a ring at GET_VRING_BASE, finish what was taken, and answer with the index of "
            "the next buffer to take.",
            "A statistics buffer that is held is to be taken again: it counts as not taken.",
        ),
        Statement(
            "VU-DEV-6", DEVICE, DESCRIBED, "vhost-user, Starting and stopping rings",
            "Go on with a ring from the index at which it stopped: nothing lost, nothing twice.",
        ),
        Statement(
            "VU-DEV-7", DEVICE, MUST, "vhost-user, Virtio device config space",
            "Answer GET_CONFIG with as many bytes as it asks for, from where it asks; with none "
            "where it cannot.",
        ),
        Statement(
            "VU-DEV-8", DEVICE, DESCRIBED, "vhost-user, Virtio device config space",
            "Take a part of the space as well as all of it, and of it what a driver may write.",
            "QEMU sends all of it, with old copies of num_pages; others send the field.",
        ),
        Statement(
            "VU-DEV-9", DEVICE, MUST, "vhost-user, Memory regions description",
            "Find an address in its region, and that region at its place in its file.",
        ),
        Statement(
            "VU-DEV-10", DEVICE, MUST, "vhost-user, Memory regions description",
            "Take another memory table while rings run, and go on in it.",
        ),
        Statement(
            "VU-DEV-11", DEVICE, DESCRIBED, "vhost-user, Communication",
            "Let go of all memory and descriptors when the front-end leaves, and serve the next.",
        ),
        Statement(
            "VU-DEV-12", DEVICE, DESCRIBED, "vhost-user, Front-end message types",
            "Serve a ring that has no call; use a new kick, or call, from when it comes.",
        ),
        Statement(
            "VU-DEV-13", DEVICE, DESCRIBED, "vhost-user, Back-end message types",
            "Announce no configuration before a ring is enabled.",
            "QEMU 11.1 dies of it.",
        ),
    ),
)  # fmt: skip

GROUPS = (VHOST_USER,)
