"""The catalogue of faults of devices, and how one is put there. No I/O."""

from aerostat.testing.check.seeded import Faults, replace

__all__ = ["FAULTS", "fault", "replace"]

#: All faults, by name.
FAULTS = Faults()
fault = FAULTS.fault
