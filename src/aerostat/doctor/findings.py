"""What the doctor finds: one sentence a check, how bad it is, and what mends it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

HOST = "host"
MANAGER = "manager"


class Level(IntEnum):
    """How bad it is; the greater, the worse."""

    OK = 0
    INFO = 1
    """Good to know; nothing has to be done."""
    WARNING = 2
    """Works, and will not work well, or not always."""
    CRITICAL = 3
    """Does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to.

    `subject` is ``host``, ``manager``, a connector or a guest's name; `check` a name in
    `checks.CHECKS`. `mend` is the exact command, XML or line of a configuration file, None where
    there is nothing to mend or nobody can say how. Neither text has control characters but the
    line ends of `mend`.
    """

    subject: str
    check: str
    level: Level
    text: str
    mend: str | None = None


def status(findings: Iterable[Finding]) -> int:
    """Return the exit code that monitoring expects: 0 all is well, 1 warning, 2 critical."""
    worst = max((finding.level for finding in findings), default=Level.OK)
    return max(worst - Level.INFO, 0)


def counted(number: int, thing: str) -> str:
    """Return so many of a thing, in words."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
