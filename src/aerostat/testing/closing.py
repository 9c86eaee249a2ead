"""What is closed at the end of a ``with`` block. Touches nothing."""

from types import TracebackType
from typing import Self


class Closing:
    """Closes itself at the end of a ``with`` block; made open, unlike `contextlib.closing`'s."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what is held."""
        raise NotImplementedError
