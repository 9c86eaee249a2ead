"""Tables whose rows have names: guests as columns, one element of each row a guest. Pure."""

from typing import Any, ClassVar, Self, overload

import numpy as np
import numpy.typing as npt

from aerostat.balloon.abi import PAGE_SIZE

Column = npt.NDArray[np.float64]
Table = npt.NDArray[np.float64]


def whole(amount: Column) -> Column:
    """Return the amounts, rounded down to whole pages."""
    pages = np.floor(amount * (1 / PAGE_SIZE))
    pages *= PAGE_SIZE
    return pages


def column(value: npt.ArrayLike, count: int) -> Column:
    """Return `value`, one for all or one a guest, as a column of its own, in whole pages."""
    # An addition, since `broadcast_to` takes ten times as long, and this is done every interval.
    return whole(np.zeros(count) + np.asarray(value, np.float64))


class Row:
    """A row of a table by name: reading it gives a view, assigning to it changes the table."""

    def __init__(self, index: int) -> None:
        self._index = index

    def __set_name__(self, owner: type["Columns"], name: str) -> None:
        owner.names = (*owner.names, name)

    @overload
    def __get__(self, columns: None, owner: type) -> Self: ...
    @overload
    def __get__(self, columns: "Columns", owner: type) -> Column: ...
    def __get__(self, columns: "Columns | None", owner: type) -> Any:
        """Return the row of this table."""
        if columns is None:
            return self
        return columns.table[self._index - columns.FIRST]

    def __set__(self, columns: "Columns", values: npt.ArrayLike) -> None:
        """Give all guests new values."""
        columns.table[self._index - columns.FIRST] = values


class Columns:
    """A table of float64, shape (rows, guests), each row of which has a name."""

    FIRST: ClassVar[int]
    """Where its rows begin in a guest's record."""
    names: ClassVar[tuple[str, ...]] = ()

    __slots__ = ("table",)

    def __init__(self, table: Table) -> None:
        self.table = table

    @classmethod
    def blank(cls, count: int) -> Self:
        """Return a table for `count` guests that is all zeros."""
        return cls(np.zeros((len(cls.names), count)))

    def __len__(self) -> int:
        """Return the number of guests."""
        return int(self.table.shape[1])

    def rows(self, which: npt.ArrayLike) -> Self:
        """Return copies of the guests that an index, a list or a mask names, in that order."""
        chosen = np.arange(len(self))[np.asarray(which)]
        return type(self)(np.take(self.table, chosen, axis=1))
