"""Sweeps: many simulations, spread over processes or machines by whatever executor there is.

Adapter. A task is plain data and its rows depend on nothing else, so that it does not matter who
does it: serially, in a `ProcessPoolExecutor`, or on a cluster through Dask's
``Client.get_executor()``, the rows are the same to the last bit.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from aerostat.daemon.policies import find
from aerostat.errors import UsageError
from aerostat.simulator.density import density
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.setting import Setting

Progress = Callable[[int, int], None]
"""Is told how many tasks are done, and of how many."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """One policy among the guests of one setting."""

    setting: Setting
    policy: str
    """Its name, with the knobs: `aerostat.daemon.policies.find`."""
    counts: tuple[int, ...] = ()
    """How many guests the hosts have; none to search the most that are unharmed."""

    def rows(self) -> tuple[Row, ...]:
        """Do it: return a row for each count, or for each that the search tried and its answer."""
        policy = find(self.policy)
        if self.counts:
            result = self.setting.run(policy, self.counts)
            return tuple(self.setting.rows(result, self.policy, Part.GIVEN))
        found = density(self.setting, policy, name=self.policy)
        return (*found.tried, *([found.best] if found.best else ()))


def run(
    tasks: Sequence[Task], executor: Executor | None = None, progress: Progress | None = None
) -> list[tuple[Row, ...]]:
    """Return the rows of each task, in the order of the tasks; done here without an executor.

    Raises what a task raises; those that have not begun are given up then.
    """
    if executor is not None:
        return _spread(tasks, executor, progress)
    done: list[tuple[Row, ...]] = []
    for task in tasks:
        done.append(task.rows())
        if progress is not None:
            progress(len(done), len(tasks))
    return done


def shard(tasks: Sequence[T], number: int, of: int) -> Sequence[T]:
    """Return the tasks of machine `number` of `of`, counted from 1. Raises `UsageError`."""
    if not 1 <= number <= of:
        raise UsageError(f"of {of} parts there is no number {number}: they are counted from 1")
    return tasks[number - 1 :: of]


def _spread(
    tasks: Sequence[Task], executor: Executor, progress: Progress | None
) -> list[tuple[Row, ...]]:
    finished = count(1)

    def told(_: Future[tuple[Row, ...]]) -> None:
        if progress is not None:
            progress(next(finished), len(tasks))

    return in_order([executor.submit(Task.rows, task) for task in tasks], told)


def in_order(futures: Sequence[Future[T]], told: Callable[[Future[T]], None]) -> list[T]:
    """Return what these come to, in their order; `told` is called with each as it is done.

    Raises what one of them raises; those that have not begun are given up then.
    """
    try:
        for future in as_completed(futures):
            future.result()
            told(future)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]
