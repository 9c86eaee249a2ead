"""The comparison's scenes, schedule, reckoning and page, without a guest."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.engine.observation import Guests, Hosts
from aerostat.errors import LinkError, UsageError
from aerostat.model.pace import PACE
from aerostat.model.plans import WANTS, Plans
from aerostat.testing.trials.comparison import harm, report, running, schedule, simulated
from aerostat.testing.trials.comparison.drivers import NOBODY
from aerostat.testing.trials.comparison.inhabitants import KINDS, SWAP_SIZE, Kind, make_swap
from aerostat.testing.trials.comparison.rivals import contender
from aerostat.testing.trials.comparison.running import Fared, Job, Run
from aerostat.testing.trials.comparison.scenes import SCENES, SIZE, START
from aerostat.units import MIB

SECONDS = 60.0
# What a guest of this size needs for its kernel, and for what plays.
BESIDES = 96 * MIB

scenes = st.sampled_from(sorted(SCENES))
seeds = st.integers(1, 50)


def run(
    policy: str = "mom",
    *,
    scene: str = "files",
    seed: int = 1,
    refaulted: int = 0,
    oom_kills: int = 0,
    held: int = 100 * MIB,
) -> Run:
    """Return a run of two guests alike."""
    counted = dict.fromkeys(harm.SUMS, 0)
    counted |= {"refaulted": refaulted, "oom_kills": oom_kills, "direct_reclaimed": 0}
    guests = {
        kind.name: Fared(kind, "reads", dict(counted), worked=58.0, watched=60.0)
        for kind in KINDS[:2]
    }
    moments = [(0.0, held), (0.5, held)]
    return Run(Job(scene, policy, seed), 200 * MIB, guests, moments, moves=3, took=80.0)


# Scenes.


@settings(max_examples=settings().max_examples // 2)
@given(scenes, seeds, st.integers(4, 8))
def test_a_scene_is_the_same_for_everybody_and_each_guest_has_room_for_it(
    name: str, seed: int, count: int
) -> None:
    workloads = SCENES[name].workloads(seed, count, SECONDS)

    assert workloads == SCENES[name].workloads(seed, count, SECONDS)
    assert len(workloads) == count
    for workload in workloads:
        starts = [step.at for step in workload.steps]
        assert starts == sorted(starts)
        assert starts[0] == 0
        assert all(
            step.hold + step.leak_rate * 30 + step.read_span + BESIDES <= SIZE * 1.05
            for step in workload.steps
        )


def test_other_seeds_are_other_runs() -> None:
    for scene in SCENES.values():
        assert scene.workloads(1, 8, SECONDS) != scene.workloads(2, 8, SECONDS)


@settings(max_examples=settings().max_examples // 2)
@given(scenes, seeds, st.floats(0, 71.9))
def test_the_simulator_is_given_the_same_work(name: str, seed: int, now: float) -> None:
    workloads = SCENES[name].workloads(seed, 8, SECONDS)
    plans = Plans.of([simulated.plan(workload, 72.0) for workload in workloads])
    wanted = plans.wanted(now)

    for row, workload in enumerate(workloads):
        step = workload.wanted(now)
        if workload.wanted(max(0.0, now - 0.05)).at != step.at:
            continue  # on its way from one step to the next
        hold = wanted[row, WANTS.index("hold")] - simulated.PLAYER
        # Steps are told to the byte, leaks go in a straight line.
        assert hold == pytest.approx(step.hold, abs=2)
        assert wanted[row, WANTS.index("read_rate")] == step.read_rate
        assert wanted[row, WANTS.index("read_span")] == step.read_span


def test_the_modelled_house_has_the_same_guests() -> None:
    house = simulated.house(Job("mixed", "mom", 1), KINDS)

    assert house.budget == START * len(KINDS)
    assert [guest.swap_size for guest in house.guests] == [
        SWAP_SIZE if kind.swaps else 0 for kind in KINDS
    ]


# Rivals.


def test_a_rule_that_aims_at_a_share_is_shown_a_host_so_much_larger() -> None:
    guests = Guests.of(["a"], held=np.array([100.0 * MIB]))
    hosts = Hosts.of(["h"], budget=np.array([1000.0 * MIB]))

    proxmox = contender("proxmox")

    assert proxmox.scale * 0.8 == pytest.approx(0.96)
    assert contender("proxmox:host_used=0.96").scale == pytest.approx(1.0)
    assert contender("mom").scale == contender("static").scale == 1.0
    assert proxmox.boots_at(hosts, guests).tolist() == [START]
    with pytest.raises(UsageError, match="no policy is called"):
        contender("nonesuch")


# The guests' counters.


def test_counters_of_all_zones_are_summed_up_in_bytes() -> None:
    vmstat = {"allocstall_normal": 2, "allocstall_movable": 3, "pswpin": 4, "pgpgin": 5}

    counted = running.counters(vmstat)

    assert (counted["alloc_stalls"], counted["swapped_in"]) == (5, 4 * 4096)
    assert (counted["disk_reads"], counted["oom_kills"]) == (5 * 1024, 0)
    assert set(harm.SUMS) <= counted.keys()


def test_a_swap_file_is_one_to_linux(tmp_path: Path) -> None:
    path = make_swap(tmp_path / "swap")

    assert path.stat().st_size == SWAP_SIZE
    with path.open("rb") as file:
        assert file.read(4096).endswith(b"SWAPSPACE2")


# The schedule.


def test_every_policy_has_every_run_in_an_order_of_its_own() -> None:
    listed = schedule.jobs(sorted(SCENES), ["a", "b", "c"], runs=3, seconds=60)
    orders = {
        tuple(job.policy for job in listed if (job.scene, job.seed) == (scene, seed))
        for scene in SCENES
        for seed in (2, 3)
    }

    assert len(listed) == len(set(listed)) == len(SCENES) * 10
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset("abc")}
    assert [job.scene for job in listed if job.policy == NOBODY] == sorted(SCENES)


async def test_what_is_done_is_not_done_again_and_what_fails_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Job] = []

    async def make(job: Job, kinds: object, accelerator: object) -> Run:
        made.append(job)
        if (job.policy == "b" and made.count(job) == 1) or job.policy == "broken":
            raise LinkError("it did not boot")
        return run(job.policy, seed=job.seed)

    monkeypatch.setattr(running, "make", make)
    path = tmp_path / "runs.jsonl"
    listed = [Job("files", policy, 1) for policy in ("a", "b", "broken")]
    said: list[str] = []

    first = await schedule.make_all(listed[:1], KINDS, path, said.append)
    path.write_bytes(path.read_bytes() + b'{"job": {"scene": "fi')  # killed while it wrote
    rest = await schedule.make_all(listed, KINDS, path, said.append)

    assert [*first, rest[1]] == rest
    assert [job.policy for job in made] == ["a", "b", "broken", "b", "broken"]
    assert schedule.failed(listed, rest) == [listed[2]]
    assert any("it did not boot" in line for line in said)
    assert any("min to go" in line for line in said)


def test_a_file_that_holds_something_else_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text("{}\n")

    with pytest.raises(UsageError, match="line 1"):
        schedule.read(path)


# Harm.


def test_what_is_read_again_costs_the_disks_time() -> None:
    kills, lost = harm.score(run(refaulted=int(PACE.disk) * 6))

    assert kills == 0
    assert lost == pytest.approx(0.1)


def test_a_guest_that_does_not_answer_has_lost_everything() -> None:
    assert harm.lost(Fared(KINDS[0], "reads", watched=60.0)) == 60.0


def test_what_is_held_beyond_the_budget_would_be_in_the_hosts_swap() -> None:
    over = run(held=250 * MIB)
    for one in over.guests.values():
        one.touched = int(PACE.disk * 0.5 * one.watched)

    assert harm.lost_to_host(over) == pytest.approx(0.2 * 0.5)
    assert harm.lost_to_host(run()) == 0.0
    assert harm.over_budget(over) == 1.0


def test_an_oom_kill_is_worse_than_any_slowness() -> None:
    runs = {"slow": [run(refaulted=10**10)], "kills": [run(oom_kills=1)], "good": [run()]}

    assert harm.ranked(harm.scores(runs)) == ["good", "slow", "kills"]


def test_rankings_are_compared_pair_by_pair_where_both_can_tell() -> None:
    real = {"a": (0.0, 0.01), "b": (0.0, 0.05), "c": (0.0, 0.0505)}

    assert harm.agreement(real, {"a": (0.0, 0.1), "b": (0.0, 0.2), "c": (0.0, 0.9)}) == (2, 2)
    assert harm.agreement(real, {"a": (1.0, 0.1), "b": (0.0, 0.2)}) == (0, 1)
    assert harm.agreement(real, {}) == (0, 0)


# The page.


def test_the_page_has_every_policy_and_its_pictures_are_xml(tmp_path: Path) -> None:
    policies = ("aerostat", "mom", "<b>")
    runs = [run(policy, seed=seed, refaulted=seed << 28) for policy in policies for seed in (1, 2)]
    modelled = {"files": {"aerostat": (0.0, 0.01), "mom": (0.0, 0.02), "<b>": (1.0, 0.0)}}

    page = report.write(
        [*runs, run(NOBODY)], [Job("files", "proxmox", 1)], KINDS, modelled, tmp_path
    )

    figures = json.loads((tmp_path / "comparison.json").read_text())
    assert figures["scenes"]["files"]["simulated"] == ["aerostat", "mom", "<b>"]
    assert figures["failed"] == ["files 1 under proxmox"]
    assert NOBODY not in figures["scenes"]["files"]["ranking"]
    assert figures["scenes"]["files"]["policies"]["mom"]["runs"] == 2
    said = report.lines(figures)
    assert any("aerostat to mom: held, mean 100 to 100 MiB" in line for line in said)
    ET.fromstring((tmp_path / "comparison.svg").read_text())
    text = page.read_text()
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert all(words in text for words in ("major faults", "OOM kills", "held, mean"))


def test_a_comparison_of_nothing_has_a_page_too(tmp_path: Path) -> None:
    page = report.write([], [], (Kind("a", "uml"),), {}, tmp_path, note="nothing <was> asked")

    assert "nothing &lt;was&gt; asked" in page.read_text()
