"""``aerostat run``: the manager in the foreground, with a view of it."""

from pathlib import Path
from typing import Any

import click

from aerostat.cli.options import SIZE, libvirt_option, qmp_option, socket_option
from aerostat.errors import UsageError


@click.command(
    "run",
    short_help="Run the manager here, with a view of it.",
    epilog="""\b
Examples:
  aerostat run --libvirt qemu:///system                       watch; change nothing
  aerostat run --qmp '/run/vm/*.qmp'                          the same, without libvirt
  aerostat run --qmp '/run/vm/*.qmp' --manage --budget 24GiB  move balloons
  aerostat run --qmp '/run/vm/*.qmp' --for 60 --json          a minute of JSON lines
  aerostat run --config /etc/aerostat/aerostat.toml           as a service would

\b
A guest of plain QEMU needs a balloon and a monitor of its own:
  qemu-system-x86_64 ... -device virtio-balloon -qmp unix:/run/vm/web1.qmp,server,nowait
""",
)
@libvirt_option("The libvirtd whose domains are the guests, such as qemu:///system.")
@qmp_option("Guests' QMP sockets, with wildcards; may be given several times.")
@click.option("--manage", is_flag=True, help="Move balloons. Without it nothing is ever changed.")
@click.option("--budget", metavar="SIZE", type=SIZE, help="What all guests together may hold.")
@click.option("--policy", metavar="NAME", help="Who says which sizes guests should have.")
@click.option("--reserve", metavar="SIZE|%", help="What the host keeps for itself (default: 10%).")
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A TOML file; options override it.",
)
@socket_option
@click.option("--interval", metavar="SECONDS", type=float, help="Time between two looks.")
@click.option("--for", "limit", metavar="SECONDS", type=float, help="End after so long.")
@click.option("--view/--no-view", default=None, help="Draw a live view (default: on a terminal).")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON snapshot a line, each tick.")
def command(
    globs: tuple[str, ...],
    uris: tuple[str, ...],
    config_path: Path | None,
    limit: float | None,
    *,
    view: bool | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run the manager here: it reads guests' statistics, decides, and moves their balloons.

    It only observes, unless --manage is given or the configuration says so. Ctrl-C ends it; the
    guests then keep the sizes that they have.
    """
    # All of the manager (NumPy, asyncio) is behind this import.
    from aerostat.cli.config import read
    from aerostat.cli.running import Showing, run_manager
    from aerostat.daemon import config, paths

    if limit is not None and not 0 < limit < float("inf"):
        raise UsageError(f"--for takes seconds, more than 0, not {limit:g}")
    if config_path is None and paths.config_file().exists():
        config_path = paths.config_file()
    said = overrides(globs, uris, **options)
    settings = read(config_path, said)
    if not settings.connector:
        raise UsageError("no guests are named; say where they are: --libvirt URI or --qmp GLOB")
    showing = Showing.choose(view=view, as_json=as_json)
    run_manager(settings, showing, limit, lambda: config.load(config_path, said))


def overrides(
    globs: tuple[str, ...],
    uris: tuple[str, ...] = (),
    *,
    manage: bool = False,
    budget: int | None = None,
    reserve: str | None = None,
    socket: Path | None = None,
    interval: float | None = None,
    policy: str | None = None,
) -> dict[str, Any]:
    """Return the options that were given, in the shape of the configuration file."""
    values: dict[str, Any] = {}
    if manage:
        values["manage"] = True
    if policy is not None:
        values["policy"] = policy
    if interval is not None:
        values["interval"] = interval
    if budget is not None and reserve is not None:
        raise UsageError("--budget and --reserve are two ways to say the same; give one of them")
    if budget is not None:
        values["host"] = {"budget": f"{budget}B", "reserve": None}
    elif reserve is not None:
        values["host"] = {"reserve": reserve, "budget": None}
    if socket is not None:
        values["api"] = {"socket": str(socket)}
    connectors: list[dict[str, Any]] = [{"kind": "libvirt", "uri": uri} for uri in uris]
    if globs:
        connectors.append({"kind": "qmp", "sockets": list(globs)})
    if connectors:
        values["connector"] = connectors
    return values
