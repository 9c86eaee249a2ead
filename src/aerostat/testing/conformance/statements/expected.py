"""What no specification demands of a balloon device, and everybody counts on, in our words.

Pure. ``USE-`` is what makes it of use, ``BAD-`` that it survives what no driver and no front-end
should send; `bad_requests` and `bad_messages` are what is sent. The clause is the one that says
what would have been right.
"""

from aerostat.testing.conformance.statements.terms import Group, Statement, Strength, Who

DEVICE = Who.DEVICE
DESCRIBED = Strength.DESCRIBED

USE = Group(
    "What a balloon is for",
    (
        Statement(
            "USE-DEV-1", DEVICE, DESCRIBED, "5.5.6",
            "Give the host the memory of inflated pages, before the request is acknowledged.",
        ),
        Statement(
            "USE-DEV-2", DEVICE, DESCRIBED, "5.5.6.7",
            "Give the host the memory of reported pages, before the report is acknowledged; unless "
            "they must keep their poison.",
        ),
        Statement(
            "USE-DEV-3", DEVICE, DESCRIBED, "5.5.4",
            "Keep num_pages and free_page_hint_cmd_id as the host has them, whatever a driver "
            "writes.",
        ),
        Statement(
            "USE-DEV-4", DEVICE, DESCRIBED, "5.5.4",
            "Show a driver what it has written to actual and, with PAGE_POISON, to poison_val.",
        ),
    ),
)  # fmt: skip

_THEN = "Then serve a good request, or ask to be reset and serve it after that."

BAD = Group(
    "Bad input",
    (
        Statement(
            "BAD-DEV-1", DEVICE, DESCRIBED, "5.5.6",
            "Survive arrays of page numbers of any length, place and content: give each buffer "
            f"back, and take no page that it does not name. {_THEN}",
        ),
        Statement(
            "BAD-DEV-2", DEVICE, DESCRIBED, "5.5.6.3",
            f"Survive statistics of any length, place and content. {_THEN}",
        ),
        Statement(
            "BAD-DEV-3", DEVICE, DESCRIBED, "5.5.6.7",
            "Survive reports of any length and place: give each back, and take no page that is not "
            f"in it as a whole. {_THEN}",
        ),
        Statement(
            "BAD-DEV-4", DEVICE, DESCRIBED, "5.5.6.5",
            f"Survive hints and command ids of any kind. {_THEN}",
        ),
        Statement(
            "BAD-DEV-5", DEVICE, DESCRIBED, "2.7",
            f"Survive split rings that make no sense. {_THEN}",
        ),
        Statement(
            "BAD-DEV-6", DEVICE, DESCRIBED, "2.8",
            f"Survive packed rings that make no sense. {_THEN}",
        ),
        Statement(
            "BAD-VU-1", DEVICE, DESCRIBED, "vhost-user, Starting and stopping rings",
            "Survive bad messages on rings. Then serve this front-end, or, having hung up, "
            "the next.",
        ),
        Statement(
            "BAD-VU-2", DEVICE, DESCRIBED, "vhost-user, Memory regions description",
            "Survive memory that cannot be. Then serve this front-end, or, having hung up, "
            "the next.",
        ),
        Statement(
            "BAD-VU-3", DEVICE, DESCRIBED, "vhost-user, Virtio device config space",
            "Survive bad accesses to the configuration. Then serve this front-end, or, having hung "
            "up, the next.",
        ),
        Statement(
            "BAD-VU-4", DEVICE, DESCRIBED, "vhost-user, Front-end message types",
            "Survive features, and requests, that there are not. Then serve this front-end, or, "
            "having hung up, the next.",
        ),
        Statement(
            "BAD-VU-5", DEVICE, DESCRIBED, "vhost-user, Message specification",
            "Survive bytes that are no messages. Then serve the next front-end.",
        ),
    ),
)  # fmt: skip

GROUPS = (USE, BAD)
