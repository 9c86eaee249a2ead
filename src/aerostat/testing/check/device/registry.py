"""Where the checks of devices register. Pure."""

from aerostat.testing.check.checks import Registry
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.conformance.statements import Who

CHECKS: Registry[Machine] = Registry(Who.DEVICE)
