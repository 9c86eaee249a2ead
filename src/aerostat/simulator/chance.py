"""Chance without a state: numbers that depend on a seed, a guest and a moment, and nothing else.

Adapter; NumPy, no I/O. What a generator says depends on who asked before; here everybody's luck is
their own, so that neither a policy nor other houses can change it.
"""

import numpy as np
import numpy.typing as npt

from aerostat.engine.observation import FloatArray

Identities = npt.NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def uniform(identities: Identities, seed: int, moment: int) -> FloatArray:
    """Return a number from 0 to below 1 for each identity, by `seed` and `moment`."""
    salt = _mixed(np.array([(seed * _GOLDEN + moment) & _MASK], dtype=np.uint64))
    return (_mixed(identities ^ salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(values: Identities) -> Identities:
    """Return the values with their bits spread over all places: the finalizer of SplitMix64."""
    values = values + np.uint64(_GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
