"""The connectors that a configuration names. Touches nothing until they are started."""

from collections.abc import Sequence

from aerostat.daemon.config_tables import Config, ConnectorConfig
from aerostat.errors import MissingError
from aerostat.hypervisors.base import Connector

LIBVIRT_URI = "qemu:///system"


def connectors_of(config: Config) -> list[Connector]:
    """Return a connector for each `[[connector]]`, in their order. Raises `MissingError`."""
    return [_make(entry, read_only=not config.manage) for entry in config.connector]


def reconnected(old: Config, connectors: Sequence[Connector], new: Config) -> list[Connector]:
    """Return the connectors of `new`; those that stay as they were in `old` are the same objects.

    `connectors` are those of `old`. Raises `MissingError`.
    """
    kept = list(zip(old.connector, connectors, strict=False)) if old.manage == new.manage else []
    made = []
    for entry in new.connector:
        same = next((pair for pair in kept if pair[0] == entry), None)
        if same is None:
            made.append(_make(entry, read_only=not new.manage))
        else:
            kept.remove(same)
            made.append(same[1])
    return made


# Each kind is imported when it is named: what is not used need not be installed.
def _make(entry: ConnectorConfig, *, read_only: bool) -> Connector:
    if entry.kind == "qmp":
        return _qmp(entry, read_only=read_only)
    try:
        from aerostat.hypervisors.libvirt import LibvirtConnector  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingError(f"the libvirt connector is not installed: {error}") from error

    return LibvirtConnector(
        entry.uri or LIBVIRT_URI, read_only=read_only, passthrough=entry.passthrough
    )


def _qmp(entry: ConnectorConfig, *, read_only: bool) -> Connector:
    from aerostat.hypervisors.qmp import QmpConnector  # noqa: PLC0415

    connector = QmpConnector(entry.sockets, read_only=read_only)
    if entry.agents is None:
        return connector
    from aerostat.hypervisors.agent_sockets import AgentSockets  # noqa: PLC0415
    from aerostat.hypervisors.with_agent import WithAgent  # noqa: PLC0415

    return WithAgent(connector, AgentSockets(entry.agents))
