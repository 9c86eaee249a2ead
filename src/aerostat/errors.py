"""The exception tree.

::

    AerostatError
    ├── UsageError       ours: the caller, an option or a configuration file is wrong
    ├── PeerError        theirs: a guest, a driver or a VMM misbehaved. Counted and survived;
    │                    never raised past the device or the connector that met it
    ├── LinkError        the connection's: refused, lost, timed out (see `retryable`)
    └── MissingError     something that this machine lacks; the message says how to get it

Standard library only.
"""


class AerostatError(Exception):
    """The root of everything that aerostat raises on purpose."""


class UsageError(AerostatError):
    """The caller is wrong; the message says what would be right."""


class PeerError(AerostatError):
    """A guest, a driver or a VMM sent something that the specification forbids."""


class LinkError(AerostatError):
    """A connection failed. `retryable` is true where trying again later may help."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class MissingError(AerostatError):
    """Something is not installed or not permitted here; the message says how to get it."""
