"""Scenarios as files: the examples, what happens in them, and mistakes with their lines."""

from pathlib import Path

import numpy as np
import pytest

from aerostat.daemon.config.source import ConfigError, Document
from aerostat.simulator.scenarios import Scenario, from_toml, scenario
from aerostat.simulator.world import GuestSpec, House, Plug, World
from aerostat.units import GIB, MIB

EXAMPLES = Path(__file__).parents[2] / "examples" / "scenarios"
HEAD = 'budget = "8GiB"\n[[guests]]\n'


def example(name: str) -> Scenario:
    return scenario(str(EXAMPLES / f"{name}.toml"))


def guests(text: str, count: int = 1) -> tuple[GuestSpec, ...]:
    found = from_toml(Document.of(text, "s.toml"), "s")
    return found.families[0].guests(1, count, found.seconds)


def hold(guest: GuestSpec, at: float) -> float:
    """Return what is held at a moment, MiB."""
    moments = guest.plan.moments
    held = np.interp(at, [moment.at for moment in moments], [moment.hold for moment in moments])
    return float(held) / MIB


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_an_example_is_a_house_of_guests(path: Path) -> None:
    found = scenario(str(path))

    (family,) = found.families
    many = family.guests(1, 12, found.seconds)
    assert family.guests(1, 5, found.seconds) == many[:5]
    assert len(World.of([House(found.name, found.budget, many)])) == 12


def test_the_office_has_a_report_that_bursts() -> None:
    found = example("office")
    report = found.families[0].guests(1, 7, found.seconds)[6]

    assert report.max_size == 3 * GIB
    assert hold(report, 399.9) == pytest.approx(514, abs=1)
    assert hold(report, 401) == pytest.approx(514 + 1536, abs=1)
    assert hold(report, 450) == pytest.approx(529, abs=1)


def test_in_trouble_some_fall_silent_and_one_comes_and_grows() -> None:
    found = example("trouble")
    many = found.families[0].guests(1, 6, found.seconds)

    assert [guest.silent_from for guest in many] == [np.inf] * 3 + [300] * 2 + [np.inf]
    assert (many[5].plan.arrives, many[5].plan.departs) == (350, 800)
    assert many[5].plugs == (Plug(600, 3 * GIB),)


def test_memory_is_plugged_in_again_and_again() -> None:
    (guest,) = guests(
        f'{HEAD}family = "steady"\n'
        'plugs = [{ at = 60, size = "1GiB" }, { at = 30, size = "512MiB" }]'
    )
    first, second = guest.plugs

    assert first == Plug(30, guest.max_size + 512 * MIB)
    assert second == Plug(60, guest.max_size + 1536 * MIB)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('family = "steady"\nmax_size = "1GiB"', 2, "needs one of"),
        ('family = "steady"\ntrace = "x"', 2, "needs one of"),
        ('max_size = "1GiB"', 2, "needs one of"),
        ('family = "stead"', 3, "there are: steady"),
        ('trace = "nowhere.csv"', 3, "cannot be read"),
        ('family = "steady"\nshare = 0', 4, "must be 1 or more"),
        ('family = "steady"\nbursts = [{ at = -1, size = "1GiB", seconds = 5 }]', 2, "event"),
        ('family = "steady"\nbursts = [{ at = nan, size = "1GiB", seconds = 5 }]', 2, "event"),
        ('family = "steady"\nbursts = [{ at = 1, size = 5 }]', 4, "with a unit"),
        ('family = "steady"\nburst = 1', 2, "unknown field `burst`"),
        ('max_size = "1GiB"\nmoments = [{ at = 5 }, { at = 4 }]', 2, "order of their time"),
    ],
)
def test_a_mistake_is_said_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        guests(HEAD + text)

    assert str(error.value).startswith(f"s.toml:{line}: ")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["office", "trouble"])
def test_an_example_runs_and_static_sizes_hurt_nobody(name: str) -> None:
    """Static sizes have room for a few."""
    from aerostat.engine.policies.catalogue import find
    from aerostat.simulator.run import simulate

    found = example(name)
    house = House(name, 32.0 * GIB, found.families[0].guests(1, 6, found.seconds))

    result = simulate([house], find("static"), seconds=found.seconds, seed=1)

    assert result.guests.oom_kills.sum() == 0
    assert result.guests.slowdown.max() < 0.02
