"""Our own policy, and its knobs."""

import pytest

from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.policies.catalogue import find
from aerostat.engine.settings import Settings


def test_its_knobs_are_settings_of_the_engine() -> None:
    for name, knob in Aerostat.KNOBS.items():
        assert knob.low <= getattr(Settings(), name) <= knob.high, name
    assert len(Aerostat.KNOBS) <= 6


def test_it_is_found_with_its_knobs() -> None:
    assert find("aerostat") == Aerostat()
    found = find("aerostat:pool_share=0.05,interval=2")

    assert found == Aerostat.tuned(pool_share=0.05, interval=2.0)
    assert isinstance(found, Aerostat)
    assert (found.settings.pool_share, found.interval) == (0.05, 2.0)


def test_a_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError):
        Aerostat.tuned(no_such_setting=1.0)
