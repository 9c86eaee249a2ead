"""A manager's journal, held against the promises while it is being written.

Touches the journal, read-only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.snapshot import Snapshot
from aerostat.testing.polling import until
from aerostat.testing.trials.faults import oracle
from aerostat.testing.trials.faults.oracle import Books, Darkness, Violation

# A journal is written aside, and never waited for.
_WRITTEN = 10.0
# What was seen longer ago has nothing to say of new ticks, seconds.
_REMEMBERED = 60.0


class Audit:
    """The journal at `path` of a manager that `manages` or only looks.

    `ticks` and `moves` are how many were judged.
    """

    def __init__(self, name: str, path: Path, *, manages: bool) -> None:
        self.ticks = self.moves = 0
        self._name = name
        self._path = path
        self._manages = manages
        self._books = Books(manages)
        self._moves_until = 0.0
        self._entitlements: dict[tuple[float, str], int] = {}

    def hear(self, snapshots: Iterable[Snapshot]) -> None:
        """Remember from a manager's snapshots what its journal does not say."""
        for snapshot in snapshots:
            newest = snapshot.time
            self._entitlements = _since(self._entitlements, newest - _REMEMBERED)
            for row in snapshot.guests:
                if row.entitlement is not None:
                    self._entitlements[round(newest, 3), row.key] = row.entitlement

    async def goes_on(self) -> bool:
        """Tell whether it has something new, perhaps not at once. Raises `AerostatError`."""
        try:
            await until(self._has_more, within=_WRITTEN)
        except TimeoutError:
            return False
        return True

    def _has_more(self) -> bool:
        with JournalReader(self._path) as journal:
            return journal.bounds()[1] > self._books.tick

    def judge(self, darkness: Sequence[Darkness]) -> Iterator[Violation]:
        """Yield what is wrong with what is new. Raises `AerostatError` where it cannot be read."""
        with JournalReader(self._path) as journal:
            ticks = list(journal.ticks(self._books.tick + 1))
            moves = list(journal.moves(since=self._moves_until))
        moves = [move for move in moves if move.wall > self._moves_until]
        self._moves_until = max([self._moves_until, *(move.wall for move in moves)])
        self.ticks += len(ticks)
        self.moves += len(moves)
        for found in self._books.reckon(ticks, darkness, self._entitlements):
            yield found._replace(what=f"the {self._name}: {found.what}")
        yield from oracle.mute(moves)
        if not self._manages:
            yield from oracle.moved(moves)


def _since(
    entitlements: Mapping[tuple[float, str], int], moment: float
) -> dict[tuple[float, str], int]:
    return {at: size for at, size in entitlements.items() if at[0] > moment}
