"""Sweeps: the same rows, whoever does the work."""

from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from aerostat.errors import UsageError
from aerostat.simulator.setting import Setting
from aerostat.simulator.sweep import Task, run, shard

SETTING = Setting("steady", seeds=(1, 2), seconds=60.0, warm_up=10.0)
TASKS = [
    Task(SETTING, policy, counts)
    for policy in ("aerostat", "static:overcommit=1.5")
    for counts in ((12, 14), (20,))
]


def test_tasks_are_done_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "rows", lambda self: (self.policy, self.counts))
    told: list[tuple[int, int]] = []

    def tell(done: int, of: int) -> None:
        told.append((done, of))

    done: Any = run(TASKS, progress=tell)
    assert done == [(task.policy, task.counts) for task in TASKS]
    with ThreadPoolExecutor(2) as executor:
        assert run(TASKS, executor, tell) == done
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2


def test_what_a_task_raises_ends_the_sweep() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(UsageError, match="no such policy"):
        run([Task(SETTING, "no such policy", (1,))] * 3, executor)


def test_shards_are_all_of_it() -> None:
    parts = [shard(TASKS, number, 3) for number in (1, 2, 3)]

    assert sorted(map(id, TASKS)) == sorted(id(task) for part in parts for task in part)
    with pytest.raises(UsageError, match="no number 4"):
        shard(TASKS, 4, 3)


@pytest.mark.slow
def test_processes_find_the_same_to_the_last_bit() -> None:
    serial = run(TASKS)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert run(TASKS, executor) == serial
    assert serial[0][0].guests == 12
    assert serial[0][0].moves > 0


@pytest.mark.slow
def test_a_dask_cluster_finds_the_same_to_the_last_bit() -> None:
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    # Dask has types for little of itself.
    with (
        LocalCluster(**options) as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        executor: Executor = client.get_executor()
        with executor:
            assert run(TASKS, executor) == run(TASKS)
