"""The connectors that a configuration names. Touches nothing until they are started."""

from collections.abc import Sequence

from aerostat.daemon.config.tables import Config, ConnectorConfig
from aerostat.hypervisors.base import Connector, GuestInfo

LIBVIRT_URI = "qemu:///system"

# How often libvirt has guests make figures: where they are wanted more often, it is asked itself.
_SHORTEST_PERIOD = 2


def connectors_of(config: Config) -> list[Connector]:
    """Return a connector for each `[[connector]]`, in their order."""
    return [_make(entry, config) for entry in config.connector]


def reconnected(old: Config, connectors: Sequence[Connector], new: Config) -> list[Connector]:
    """Return the connectors of `new`; those that stay as they were in `old` are the same objects.

    `connectors` are those of `old`.
    """
    kept = list(zip(old.connector, connectors, strict=False))
    made = []
    for entry in new.connector:
        wanted = entry, _terms(entry, new)
        same = next((pair for pair in kept if (pair[0], _terms(pair[0], old)) == wanted), None)
        if same is None:
            made.append(_make(entry, new))
        else:
            kept.remove(same)
            made.append(same[1])
    return made


def _terms(entry: ConnectorConfig, config: Config) -> tuple[bool, int]:
    """Return what else a connector depends on: whether it may change guests, and its period."""
    period = max(_SHORTEST_PERIOD, round(config.interval)) if entry.kind == "libvirt" else 0
    return config.manage, period


# Each kind is imported when it is named: what is not used need not be installed.
def _make(entry: ConnectorConfig, config: Config) -> Connector:
    manage, period = _terms(entry, config)
    if entry.kind == "libvirt":
        return _libvirt(entry, read_only=not manage, period=period)
    return _qmp(entry, read_only=not manage)


def _qmp(entry: ConnectorConfig, *, read_only: bool) -> Connector:
    from aerostat.hypervisors.qmp.connector import QmpConnector  # noqa: PLC0415

    connector = QmpConnector(entry.sockets, read_only=read_only)
    if not isinstance(entry.agents, str):
        return connector
    from aerostat.hypervisors.agents.sockets import AgentSockets  # noqa: PLC0415
    from aerostat.hypervisors.agents.with_agent import WithAgent  # noqa: PLC0415

    return WithAgent(connector, AgentSockets(entry.agents))


def _libvirt(entry: ConnectorConfig, *, read_only: bool, period: int) -> Connector:
    from aerostat.hypervisors.libvirt.connector import LibvirtConnector  # noqa: PLC0415

    libvirt = LibvirtConnector(
        entry.uri or LIBVIRT_URI,
        read_only=read_only,
        passthrough=entry.passthrough,
        period=period,
    )
    connector: Connector = libvirt
    if entry.agents:
        from aerostat.hypervisors.agents.with_agent import WithAgent  # noqa: PLC0415

        connector = WithAgent(libvirt, libvirt.agents)
    return connector if entry.trust_metadata else _Distrusted(connector)


class _Distrusted:
    """A connector whose guests' definitions have no say in what they are promised."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self.name = connector.name
        self.start, self.close = connector.start, connector.close
        self.sample, self.set_target = connector.sample, connector.set_target
        self.examine = connector.examine
        self.counters = getattr(connector, "counters", {})

    async def guests(self) -> list[GuestInfo]:
        """Return the guests there are now, without their settings."""
        return [info._replace(settings={}) for info in await self._connector.guests()]
