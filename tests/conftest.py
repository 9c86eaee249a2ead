"""What every test shares: how hard the property tests try.

``default`` explores anew on each run. ``ci`` tries the same cases each time, so that a red build
is about the change in it. ``deep``, which is ``make test-deep``, tries several times as many; where
``CI`` is set, the same ones each time as well. Choose with ``HYPOTHESIS_PROFILE``. None of them
times a case: the machines are shared.

A test that needs more cases than others, or can afford fewer, says so in proportion:
``@settings(max_examples=5 * settings().max_examples)``.
"""

import os

from hypothesis import HealthCheck, settings

_FAST, _DEEP = 40, 300

settings.register_profile(
    "default",
    max_examples=_FAST,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=False,
    print_blob=True,
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.register_profile(
    "deep", settings.get_profile("default"), max_examples=_DEEP, derandomize="CI" in os.environ
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
