"""Which journal, which guest and which time the commands that look back mean."""

from collections.abc import Iterable
from pathlib import Path

from aerostat.cli.errors import NotThereError
from aerostat.daemon import paths
from aerostat.daemon.journal.reading import FOREVER, NEVER, JournalReader, Tick
from aerostat.daemon.names import clean_name
from aerostat.errors import UsageError
from aerostat.replay.times import parse_moment


def journal_path(given: Path | None) -> Path:
    """Return the journal that is meant: `given`, the configured one, or the usual one.

    Raises `NotThereError` where there is no such file.
    """
    path = given or _usual_path()
    if not path.is_file():
        hint = "" if given else "; say which with --journal FILE"
        raise NotThereError(f"there is no journal {path}{hint}")
    return path


def _usual_path() -> Path:
    if paths.config_file().is_file():
        from aerostat.daemon import config

        return config.load(paths.config_file(), {}).journal_path
    return paths.state_directory() / "journal.sqlite"


def key_of(reader: JournalReader, name: str) -> str:
    """Return the key of the guest of this name or key.

    Raises `NotThereError` where the journal knows none, `UsageError` where it knows several.
    """
    keys = reader.find(name)
    if not keys:
        known = sorted(set(reader.guests().values()))
        shown = ", ".join(clean_name(one) for one in known[:10]) or "nobody"
        raise NotThereError(
            f"the journal knows no guest {clean_name(name)!r}; it knows: {shown}"
            + (f", and {len(known) - 10} more" if len(known) > 10 else "")
        )
    if len(keys) > 1:
        raise UsageError(
            f"several guests are called {clean_name(name)!r}; name one of: {', '.join(keys)}"
        )
    return keys[0]


def time_range(
    reader: JournalReader, since: str | None, until: str | None, *, default: str | None = None
) -> tuple[float, float]:
    """Return wall seconds from and to; durations count back from the journal's end.

    `default` is what counts where there is no `since`; without it all is meant. Raises
    `UsageError`.
    """
    span = reader.span()
    newest = span[1] if span else FOREVER
    end = FOREVER if until is None else parse_moment(until, newest)
    since = since or default
    begin = NEVER if since is None else parse_moment(since, newest)
    if begin > end:
        raise UsageError("that time ends before it begins; look at --since and --until")
    return begin, end


def shown_on_the_way(ticks: Iterable[Tick], what: str, count: int) -> Iterable[Tick]:
    """Pass `ticks` on, and show on a terminal how many of `count` have been seen."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        ticks, what, count, console=console, transient=True, disable=not console.is_terminal
    )
