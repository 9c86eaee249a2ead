"""A journal asked about by other policies, and one that was written under another policy."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.daemon.journal.reading import JournalReader
from aerostat.errors import UsageError
from aerostat.replay.comparison import Comparison
from aerostat.replay.policies import guide_of
from aerostat.replay.steps import Replayer

Call = Callable[..., tuple[int, str, str]]

POLICIES = '''
from dataclasses import dataclass
from typing import ClassVar

from aerostat.engine.policies.base import Decision


@dataclass(frozen=True)
class Least:
    """As little as there may be."""

    name: ClassVar[str] = "least"
    interval: float = 1.0

    def start(self):
        return 0

    def step(self, memory, now, hosts, guests):
        return memory + 1, Decision(guests.guarantee, lambda row: "less is more")


class Weak(Least):
    """Gives up after ten steps."""

    def step(self, memory, now, hosts, guests):
        if memory == 10:
            raise RuntimeError("enough")
        return super().step(memory, now, hosts, guests)
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file with policies."""
    path = tmp_path / "mine.py"
    path.write_text(POLICIES)
    return path


def replayed(path: Path, policy: str | None = None) -> Comparison:
    with JournalReader(path) as reader:
        replayer, comparison = Replayer(reader.runs(), None, guide_of(policy)), Comparison()
        for tick in reader.ticks():
            step = replayer.feed(tick)
            if step is not None:
                comparison.add(step)
        comparison.finish(replayer)
        return comparison


def test_a_policy_is_asked_under_the_same_safeguards(call: Call, journal: Path, file: Path) -> None:
    code, out, _ = call("replay", journal, "--policy", f"{file}:Least")
    assert code == 0  # the recorded one is as it was
    assert "every decision is the recorded one, bit for bit" in out
    assert f"with {file}:Least, these are each guest's first decisions" in out
    assert "policy least: less is more" in out
    assert "What would have followed is not known" in out


def test_one_that_fails_is_said_to(call: Call, journal: Path, file: Path) -> None:
    code, out, _ = call("replay", journal, "--policy", f"{file}:Weak", "--json")
    told = json.loads(out)
    assert (code, told["problem"]) == (0, "RuntimeError: enough")
    # It begins anew with each manager, and each time gives up after ten steps; at steps that are
    # less than its interval apart it is not asked.
    assert 20 < told["failures"] <= told["steps"] - 2 * 10
    _, out, _ = call("replay", journal, "--policy", f"{file}:Weak")
    assert f"failed at {told['failures']} of {told['steps']} steps, and the engine's own" in out


def test_the_engines_own_would_have_decided_the_same(journal: Path) -> None:
    comparison = replayed(journal, "aerostat")
    assert comparison.faithful
    assert comparison.unlike_other == {}


@pytest.mark.parametrize("policy", ["wish", "mom:host_fre=1"])
def test_what_is_no_policy(journal: Path, policy: str) -> None:
    with pytest.raises(UsageError, match=r"\(or a mode: need, density\)"):
        replayed(journal, policy)


def test_a_run_under_another_policy_is_replayed_without_it(
    write_journal: Callable[..., Path], file: Path
) -> None:
    path = write_journal(ticks=8, policy=f"{file}:Least")
    with JournalReader(path) as reader:
        runs, ticks = reader.runs(), list(reader.ticks())
        sentences = {move.sentence for move in reader.moves()}
    assert {runs[tick.run].policy for tick in ticks} == {f"{file}:Least"}
    assert all(tick.observation.wishes is not None for tick in ticks)
    file.unlink()

    comparison = replayed(path)
    assert comparison.faithful
    assert comparison.compared == len(ticks)
    assert any(sentence.endswith("less is more") for sentence in sentences)
    # The engine's own would have done otherwise.
    assert replayed(path, "aerostat").unlike_other
