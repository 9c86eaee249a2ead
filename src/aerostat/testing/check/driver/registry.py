"""Where the checks of drivers register themselves. Pure."""

from aerostat.testing.check.checks import Registry
from aerostat.testing.check.driver.stage import Subject
from aerostat.testing.conformance.statements import Who

CHECKS: Registry[Subject] = Registry(Who.DRIVER)

#: Seconds that a check may take in all, the start of a guest among them. What a guest may take for
#: one thing is the user's to say (`Options`), and far less.
SECONDS = 180.0
