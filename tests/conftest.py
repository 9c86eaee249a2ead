"""What every test shares: how hard the property tests try.

``default`` explores anew on each run. ``ci`` tries the same cases each time, so that a red build
is about the change in it. Choose with ``HYPOTHESIS_PROFILE=ci``. Neither times a case: the
machines are shared.
"""

import os

from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow]

settings.register_profile("default", deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile(
    "ci", deadline=None, suppress_health_check=_SLOW_IS_FINE, derandomize=True, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
