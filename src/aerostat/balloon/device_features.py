"""What a balloon device can honour, and so may offer (virtio 1.2, 2.2.2 and 5.5.3).

Pure.
"""

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    FREE_PAGE_HINT,
    MUST_TELL_HOST,
    PAGE_POISON,
    PAGE_REPORTING,
    STATS_VQ,
)
from aerostat.virtio.features import RING_INDIRECT_DESC, RING_PACKED, VERSION_1, bit

#: What is offered where nothing else is said. PAGE_POISON goes with PAGE_REPORTING: without it
#: Linux gives reporting up where it poisons free pages.
DEFAULT_FEATURES = (
    bit(MUST_TELL_HOST)
    | bit(STATS_VQ)
    | bit(DEFLATE_ON_OOM)
    | bit(PAGE_POISON)
    | bit(PAGE_REPORTING)
    | bit(VERSION_1)
    | bit(RING_INDIRECT_DESC)
)

#: All that is honoured. Free page hinting is a queue more, which some front-ends have no room for,
#: and of use only to who asks for hints: it is offered on request. So are packed rings: a split one
#: says in the guest's memory how far the device has come, a packed one relies on the front-end to
#: tell that to the next device, and a balloon gains nothing by it.
KNOWN_FEATURES = DEFAULT_FEATURES | bit(FREE_PAGE_HINT) | bit(RING_PACKED)
