"""What must hold for a configuration whose values are of the right types. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from aerostat.daemon.config.tables import LARGEST_SIZE, Config, ConnectorConfig, GuestConfig
from aerostat.daemon.config.toml_lines import Place
from aerostat.units import MIB


class Rule(NamedTuple):
    """Whether it holds, of which key it is, and what the value must be."""

    holds: bool
    place: Place
    right: str


def rules_of(config: Config) -> Iterator[Rule]:
    """Give every rule, with whether `config` keeps it."""
    host, journal = config.host, config.journal
    yield Rule(0.05 <= config.interval <= 3600, ("interval",), "seconds, from 0.05 to 3600")
    yield Rule(
        0.01 <= config.sample_limit < config.interval,
        ("sample_timeout",),
        f"seconds, from 0.01 to less than the interval ({config.interval:g})",
    )
    yield Rule(
        0.01 <= config.request_timeout <= 600, ("request_timeout",), "seconds, from 0.01 to 600"
    )
    said = [value for value in (host.budget, host.reserve, host.cgroup) if value is not None]
    yield Rule(len(said) <= 1, ("host",), "either budget or reserve or cgroup, not more of them")
    yield Rule(host.budget != 0, ("host", "budget"), "more than nothing")
    yield Rule(
        host.cgroup is not None or not host.memory_high,
        ("host", "memory_high"),
        "false, unless the guests' cgroup is named",
    )
    yield Rule(0 < journal.keep_hours <= 1e6, ("journal", "keep_hours"), "hours, more than 0")
    yield Rule(0 <= journal.keep_days <= 1e5, ("journal", "keep_days"), "days, 0 or more")
    yield Rule(journal.keep_size >= MIB, ("journal", "keep_size"), "at least 1MiB")
    yield Rule(
        0 <= config.api.mode <= 0o777, ("api", "mode"), "a file mode in octal, such as 0o660"
    )
    yield Rule(
        _is_address(config.metrics.listen),
        ("metrics", "listen"),
        'an address and a port, such as "127.0.0.1:9178" or "[::1]:9178"',
    )
    yield from guest_rules(("guests",), config.guests)
    for number, connector in enumerate(config.connector):
        yield from _connector_rules(("connector", number), connector)
    for pattern, guest in config.guest:
        yield from guest_rules(("guest", pattern), guest)


def _connector_rules(where: Place, connector: ConnectorConfig) -> Iterator[Rule]:
    sockets, agents = connector.sockets, connector.agents
    if connector.kind == "qmp":
        yield Rule(
            bool(sockets) and all(sockets), (*where, "sockets"), "at least one path, with wildcards"
        )
        named = isinstance(agents, str) and "{name}" in agents
        yield Rule(named or agents is False, (*where, "agents"), "a path with {name} in it")
        yield Rule(connector.uri is None, (*where, "uri"), "left out: only libvirt has one")
    else:
        yield Rule(not sockets, (*where, "sockets"), "left out: libvirt has a uri")
        yield Rule(isinstance(agents, bool), (*where, "agents"), "true or false")
        yield Rule(connector.uri != "", (*where, "uri"), 'such as "qemu:///system"')


def guest_rules(where: Place, guest: GuestConfig) -> Iterator[Rule]:
    """Give the rules of what is promised to guests."""
    shares, guarantee, ceiling = guest.shares, guest.guarantee, guest.ceiling
    yield Rule(shares is None or 0 < shares <= 1e12, (*where, "shares"), "a number more than 0")
    yield Rule(
        ceiling is None or bool(ceiling.size or ceiling.fraction), (*where, "ceiling"), "more"
    )
    if guarantee is not None and ceiling is not None:
        # A size and a percentage can only be compared once the guest is known; `promise` does.
        comparable = (guarantee.fraction is None) == (ceiling.fraction is None)
        fits = guarantee.of(LARGEST_SIZE) <= ceiling.of(LARGEST_SIZE)
        yield Rule(fits or not comparable, (*where, "guarantee"), "at most the ceiling")


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon) and port.isascii() and port.isdecimal() and 0 < int(port) < 65536
