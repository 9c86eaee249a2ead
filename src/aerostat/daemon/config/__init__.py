"""The manager's configuration: TOML and command-line options to frozen structures.

Sizes are text with a unit (``"4GiB"``), or a percentage where that makes sense; they are bytes
in what comes out. Every mistake is an error that names the file, the line, the key and what would
be right. Touches the files that it is given.

::

    manage = true                       # without it, aerostat observes and changes nothing
    interval = 1.0                      # seconds
    [host]
    reserve = "10%"                     # or: budget = "48GiB"
    [[connector]]
    kind = "qmp"
    sockets = ["/run/guests/*.qmp"]
    [guests]
    guarantee = "25%"
    [guest."db-*"]                      # name or key; where several match, the last one wins
    guarantee = "8GiB"
    shares = 20000
"""

from aerostat.daemon.config.reading import load, loads, own_settings, parse
from aerostat.daemon.config.source import ConfigError
from aerostat.daemon.config.tables import (
    Amount,
    ApiConfig,
    Config,
    ConnectorConfig,
    GuestConfig,
    HostConfig,
    JournalConfig,
    MetricsConfig,
    Promise,
    Size,
)

__all__ = [
    "Amount",
    "ApiConfig",
    "Config",
    "ConfigError",
    "ConnectorConfig",
    "GuestConfig",
    "HostConfig",
    "JournalConfig",
    "MetricsConfig",
    "Promise",
    "Size",
    "load",
    "loads",
    "own_settings",
    "parse",
]
