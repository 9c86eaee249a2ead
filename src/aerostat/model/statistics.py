"""What balloon drivers would send of modelled guests: their statistics, by tag. Pure.

Values mean what Linux's mean (virtio 1.2, 5.5.6.4): amounts in bytes, the rest counts. What a
guest reads from its disks no driver tells, but its hypervisor: `State.block_reads`.
"""

import numpy as np
import numpy.typing as npt

from aerostat.balloon.statistics import NAMES, Tag
from aerostat.model.state import State

# Modelled guests have no huge pages.
_NONE = (Tag.HUGETLB_ALLOCATIONS, Tag.HUGETLB_FAILURES)


def statistics(state: State) -> npt.NDArray[np.float64]:
    """Return the statistics of all guests, shape (guests, 16): a column a tag."""
    # In memory a tag lies after a tag, since they are written and read one by one.
    table = np.zeros((len(Tag), len(state)))
    for tag, name in NAMES.items():
        if tag not in _NONE:
            table[tag] = getattr(state, _PLACES.get(name, name))
    return table.T


_PLACES = {"free_memory": "free"}
