"""Where the manager keeps its things.

Standard library only and light: the client of the API imports it too. See `file-hierarchy(7)`
and the XDG base directory specification.
"""

import os
from pathlib import Path


def runtime_directory() -> Path:
    """Return the directory of the API's socket: ``/run/aerostat``, or the user's own."""
    if os.geteuid() == 0:
        return Path("/run/aerostat")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    # Without a runtime directory there is no other place that only this user can write to.
    return Path(runtime) / "aerostat" if runtime else state_directory()


def state_directory() -> Path:
    """Return the directory of the state file and the journal."""
    if os.geteuid() == 0:
        return Path("/var/lib/aerostat")
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "aerostat"


def api_socket() -> Path:
    """Return where a manager listens unless it is told otherwise."""
    return runtime_directory() / "aerostat.sock"


def config_file() -> Path:
    """Return the configuration file that is read where none is named."""
    if os.geteuid() == 0:
        return Path("/etc/aerostat/aerostat.toml")
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "aerostat" / "aerostat.toml"
