"""Policies are found by name, wherever they come from, and followed as far as is safe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.daemon.config import ConfigError, loads, parse
from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.journal.writer import Journal
from aerostat.daemon.policies import BUILT_IN, Offer, find, guide, offers
from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.policies.guarded import Guarded
from aerostat.engine.policies.mom import Mom
from aerostat.errors import UsageError
from aerostat.testing.mocks.house import House
from aerostat.units import MIB

HALF = '''
"""A policy of somebody else."""

from dataclasses import dataclass
from typing import ClassVar

from aerostat.engine.policies.base import Decision


@dataclass(frozen=True)
class Half:
    """Leave every guest half of its maximum.

    And nothing more.
    """

    name: ClassVar[str] = "half"
    part: float = 0.5
    interval: float = 1.0
    breaks: bool = False

    def start(self):
        return 0

    def step(self, memory, now, hosts, guests):
        if self.breaks:
            raise RuntimeError(f"step {memory} is too\\nmuch")
        return memory + 1, Decision(self.part * guests.max_size, lambda row: "half is enough")


def breaking():
    return Half(breaks=True)


class Nothing:
    """No policy."""


raised = {}
'''

Install = Callable[..., None]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Give a file with policies in it."""
    path = tmp_path / "half_of_it.py"
    path.write_text(HALF)
    return path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Path) -> Install:
    """Return a function that installs a package with entry points, of which there are no others."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def package(name: str, **points: str) -> None:
        about = tmp_path / f"{name}-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"{point} = {value}" for point, value in points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[aerostat.policies]", *lines]))

    return package


def part_of(spec: str) -> float:
    policy: Any = find(spec)
    return float(policy.part)


def test_a_built_in_policy_is_found_with_its_knobs() -> None:
    assert find("mom:host_free=0.3") == Mom(host_free=0.3)
    assert find("aerostat") == Aerostat()
    assert find("guarded:mom:host_free=0.3") == Guarded(Mom(host_free=0.3))


def test_a_policy_of_an_installed_package_is_found_by_its_name(install: Install) -> None:
    install("halves", half="half_of_it:Half")

    assert find("half").name == "half"
    assert part_of("half:part=0.25") == 0.25
    (offer,) = [one for one in offers() if one.origin != BUILT_IN]
    assert offer == Offer(
        "half", "package halves 1.2", "Leave every guest half of its maximum.", ""
    )


def test_a_policy_may_be_tried_where_it_lies(install: Install, module: Path) -> None:
    assert find("half_of_it:Half").interval == 1.0
    assert part_of(f"{module}:Half:part=0.75") == 0.75


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("half_of_it:Gone", "policy bad of package broken 1.2 cannot be loaded: AttributeError"),
        ("gone:Half", "policy bad of package broken 1.2 cannot be loaded: ModuleNotFoundError"),
        ("half_of_it:Nothing", "policy bad of package broken 1.2: it has no method start"),
        ("half_of_it:raised", "policy bad of package broken 1.2: {} is not the class of a policy"),
    ],
)
def test_a_broken_package_is_named_and_breaks_nothing_else(
    install: Install, point: str, message: str
) -> None:
    install("halves", half="half_of_it:Half")
    install("broken", bad=point)

    with pytest.raises(UsageError, match=message):
        find("bad")
    problems = {one.name: one.problem for one in offers()}
    assert message in problems.pop("bad")
    assert set(problems.values()) == {""}
    assert find("half").name == "half"


def test_two_packages_with_one_name_are_both_named(install: Install) -> None:
    install("one", half="half_of_it:Half")
    install("two", half="half_of_it:breaking")

    with pytest.raises(UsageError, match=r"package one 1.2 and package two 1.2; uninstall one"):
        find("half")


def test_a_built_in_name_is_nobody_elses(install: Install) -> None:
    install("one", mom="half_of_it:Half")

    assert find("mom") == Mom()
    (theirs,) = [one for one in offers() if one.origin != BUILT_IN]
    assert theirs.problem == "package one 1.2: there is a built-in policy of the name mom"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mon", "no such policy: mon; did you mean mom"),
        ("wish\x1b[2J", r"no such policy: wish\?\[2J; there are: aerostat, static"),
        ("mom:host_fre=1", "mom has no knob 'host_fre'"),
        ("./nowhere.py:Half", "cannot be loaded: FileNotFoundError"),
        ("aerostat.nowhere:Half", "cannot be loaded: ModuleNotFoundError"),
        ("aerostat.units:MIB", "1048576 is not the class of a policy"),
        ("aerostat.engine.state:State", "cannot be loaded: TypeError"),
    ],
)
def test_what_is_no_policy_is_said_to_be_none(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find(spec)


def test_a_policy_that_needs_the_future_cannot_be_followed() -> None:
    with pytest.raises(UsageError, match="oracle has to know the future"):
        guide("oracle")


def test_a_configuration_may_name_a_policy_that_there_is(module: Path) -> None:
    assert loads(f'policy = "{module}:Half"').policy == f"{module}:Half"
    with pytest.raises(ConfigError, match=r"test:2: .*policy: no such policy: mon; did you mean"):
        loads('manage = true\npolicy = "mon"', "test")


async def test_guests_follow_it_as_far_as_is_safe(house: House, module: Path) -> None:
    guest = house.add("web")
    guest.uses(400 * MIB)
    config = parse({"manage": True, "mode": "density", "policy": f"{module}:Half"}, "test")
    await house.start(config)
    await house.clock.advance(25.0)

    assert guest.guest_size == 256 * MIB
    first, *_ = house.moves
    assert first.sentence.startswith("gives ")
    assert first.sentence.endswith("policy half: half is enough")
    assert 512 * MIB - first.to_size <= 0.25 * 512 * MIB  # at the pace of what lies free
    # What a guest feels counts for more than the policy's opinion.
    guest.uses(2 * MIB)
    guest.statistics[11] = 10_000
    await house.clock.advance(3.0)
    assert guest.guest_size > 256 * MIB


async def test_where_it_fails_the_engines_own_decides(
    house: House, module: Path, tmp_path: Path
) -> None:
    house.add("web").uses(400 * MIB)
    journal = Journal(tmp_path / "journal.sqlite")
    journal.start()
    config = parse({"manage": True, "policy": f"{module}:breaking"}, "test")
    await house.start(config, journal=journal)
    await house.clock.advance(30.0)
    await house.stop()
    journal.close(10)

    (problem,) = house.last.problems
    assert problem.endswith("the engine's own decides: RuntimeError: step 0 is too much")
    assert "failed (once)" in problem
    assert house.manager.explain("fake:web").endswith("MiB, but nobody needs it")
    with JournalReader(tmp_path / "journal.sqlite") as reader:
        runs, ticks = reader.runs(), list(reader.ticks())
        assert {runs[tick.run].policy for tick in ticks} == {f"{module}:breaking"}
        assert {tick.observation.wishes for tick in ticks} == {None}
        assert [event.text for event in reader.events() if event.kind == "problem"] == [
            f"policy: {problem.removeprefix('policy: ')}"
        ]
