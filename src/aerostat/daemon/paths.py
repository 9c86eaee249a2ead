"""Where the manager keeps its things.

Standard library only and light: the client of the API imports it too. A service is told by
systemd (`RuntimeDirectory=` and its like in systemd.exec(5)), root has the host's places
(file-hierarchy(7)), anybody else has their own (the XDG base directory specification).
"""

import os
from pathlib import Path

_HOST_RUNTIME = Path("/run/aerostat")
_HOST_STATE = Path("/var/lib/aerostat")
_HOST_CONFIG = Path("/etc/aerostat")


def runtime_directory() -> Path:
    """Return the directory of the API's socket: ``/run/aerostat``, or the user's own."""
    if given := _given("RUNTIME_DIRECTORY", _HOST_RUNTIME):
        return given
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    # Without a runtime directory there is no other place that only this user can write to.
    return Path(runtime) / "aerostat" if runtime else state_directory()


def state_directory() -> Path:
    """Return the directory of the state file and the journal."""
    if given := _given("STATE_DIRECTORY", _HOST_STATE):
        return given
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "aerostat"


def api_socket() -> Path:
    """Return where a manager listens unless it is told otherwise."""
    return runtime_directory() / "aerostat.sock"


def manager_socket() -> Path:
    """Return where a client looks for a manager: the user's own, if there is one, or the host's."""
    own, host = api_socket(), _HOST_RUNTIME / "aerostat.sock"
    # Neither may be looked at by everybody; then it is not theirs.
    return host if os.access(host, os.F_OK) and not os.access(own, os.F_OK) else own


def config_file() -> Path:
    """Return the configuration file that is read where none is named."""
    if given := _given("CONFIGURATION_DIRECTORY", _HOST_CONFIG):
        return given / "aerostat.toml"
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "aerostat" / "aerostat.toml"


def _given(variable: str, host: Path) -> Path | None:
    """Return what systemd names, the first of several, or root's place; None for anybody else."""
    named = os.environ.get(variable, "").partition(":")[0]
    if named:
        return Path(named)
    return host if os.geteuid() == 0 else None
