"""File descriptors that have exactly one owner.

A descriptor that came over a socket belongs to whoever holds its `OwnedDescriptor`: handing the
object over hands over the duty to close it. One that is dropped instead is closed all the same,
with a `ResourceWarning`, so that tests find the leak. Touches nothing but the descriptor; standard
library only.
"""

import contextlib
import os
import warnings

from aerostat.errors import UsageError

_GONE = -1


class OwnedDescriptor:
    """One open file descriptor and the duty to close it."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        if number < 0:
            raise UsageError(f"not a file descriptor: {number}")
        self._number = number

    def fileno(self) -> int:
        """Return the number, which stays ours; `UsageError` once it is closed or released."""
        if self._number == _GONE:
            raise UsageError("this descriptor is closed or has been released")
        return self._number

    def release(self) -> int:
        """Return the number; the caller closes it from now on."""
        number = self.fileno()
        self._number = _GONE
        return number

    def close(self) -> None:
        """Close the descriptor; a second time does nothing."""
        if self._number != _GONE:
            # Linux has released the number even where close() reports an error, and what a peer's
            # descriptor has to say at its end (a full disk, a lost server) is not our concern.
            with contextlib.suppress(OSError):
                os.close(self.release())

    def __del__(self) -> None:
        if getattr(self, "_number", _GONE) != _GONE:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=2)
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._number == _GONE else f"fd {self._number}"
        return f"<OwnedDescriptor {state}>"
