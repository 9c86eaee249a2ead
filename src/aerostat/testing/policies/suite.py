"""The checks as a class of tests for pytest, which a policy's own tests inherit.

::

    class TestMyPolicy(PolicySuite):
        policy = MyPolicy()
        excused = {"on need"}  # it takes what is idle, whoever needs it

Each promise is a test of its own. A promise that is excused must really be broken, or the excuse
has to go.
"""

from collections.abc import Collection
from typing import ClassVar

import pytest

from aerostat.engine.policies.base import Policy
from aerostat.testing.policies.checking import check_policy
from aerostat.testing.policies.promises import PROMISES, Promise


class PolicySuite:
    """Holds `policy` to every promise but those that are `excused`, by their names."""

    policy: Policy
    excused: ClassVar[Collection[str]] = ()

    @pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
    def test_a_promise_is_kept(self, promise: Promise) -> None:
        """Check one promise."""
        (verdict,) = check_policy(self.policy, promises=[promise]).verdicts
        if promise.name in self.excused:
            assert not verdict.kept, f"{promise.name} is kept: it needs no excuse"
        else:
            assert verdict.kept, f"{promise.words}: {verdict.how}"
