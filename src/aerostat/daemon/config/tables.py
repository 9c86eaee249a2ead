"""The structures of the manager's configuration, and what it promises a guest. Pure.

Sizes are bytes, times seconds. `config` makes these from TOML and says what is wrong there.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple, Self

import msgspec

from aerostat.daemon import paths
from aerostat.errors import UsageError
from aerostat.units import GIB, MIB, parse_size

# No machine has more; keeps every figure exact in the engine's float64 columns.
LARGEST_SIZE = 1 << 53

# The guarantee of a guest for which none is configured. A quarter of its maximum keeps the
# kernel, its page tables (sized for the maximum) and a resting system out of reclaim on every
# guest that was tried; below 64 MiB a Linux guest cannot be trusted to live at all.
DEFAULT_GUARANTEE = 0.25
SMALLEST_DEFAULT_GUARANTEE = 64 * MIB


class Amount:
    """A size in bytes or a fraction of some total: ``"2GiB"`` or ``"10%"``."""

    __slots__ = ("fraction", "size")

    def __init__(self, size: int = 0, fraction: float | None = None) -> None:
        self.size = size
        self.fraction = fraction

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `text` means; raises `UsageError`."""
        stripped = text.strip()
        if not stripped.endswith("%"):
            return cls(int(Size.parse(text)))
        try:
            percent = float(stripped[:-1])
        except ValueError:
            percent = -1.0
        if not 0.0 <= percent <= 100.0:
            raise UsageError(f"not a percentage from 0% to 100%: {text!r}")
        return cls(fraction=percent / 100.0)

    def of(self, total: int) -> int:
        """Return the bytes that this is, where the whole is `total` bytes."""
        return self.size if self.fraction is None else int(total * self.fraction)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Amount):
            return NotImplemented
        return (self.size, self.fraction) == (other.size, other.fraction)

    def __hash__(self) -> int:
        return hash((self.size, self.fraction))

    def __repr__(self) -> str:
        return f"Amount(size={self.size}, fraction={self.fraction})"


class Size(int):
    """Bytes that are written as text with a unit."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `text` means; raises `UsageError`."""
        try:
            size = parse_size(text)
        except OverflowError:
            size = LARGEST_SIZE + 1
        if size > LARGEST_SIZE:
            raise UsageError(f"no machine has so much memory: {text[:40]!r}")
        return cls(size)


class HostConfig(msgspec.Struct, frozen=True):
    """`[host]`: what the guests together may hold. At most one of the first three.

    `budget` in bytes; `reserve` is what is kept for the host itself, of its total memory; `cgroup`
    is the control group in which the guests run, whose limits are the budget. `memory_high` has its
    `memory.high` set too, as a backstop.
    """

    budget: Size | None = None
    reserve: Amount | None = None
    cgroup: str | None = None
    memory_high: bool = False


class ConnectorConfig(msgspec.Struct, frozen=True):
    """`[[connector]]`: one way to reach guests.

    ``qmp`` has `sockets`, paths with wildcards; `agents` is where the agents of guests listen that
    send no statistics, with ``{name}`` for a guest's name. ``libvirt`` has a `uri`; `agents` is
    true where agents may be asked; `passthrough` allows what only QEMU's monitor tells, and
    `trust_metadata` lets the definition of a guest say what it is promised.
    """

    kind: Literal["qmp", "libvirt"]
    sockets: tuple[str, ...] = ()
    agents: str | bool = False
    uri: str | None = None
    passthrough: bool = False
    trust_metadata: bool = True


class GuestConfig(msgspec.Struct, frozen=True):
    """`[guests]` and `[guest.NAME]`: what is promised to a guest. None where nothing is said.

    `guarantee` and `ceiling` are bytes or a percentage of the guest's maximum size; `shares` is
    its weight when all want more. Without a word the guarantee is 25 % of the maximum, at least
    64 MiB; the ceiling is the maximum; and the shares are the ceiling in MiB, so that a squeeze
    takes the same proportion of everybody.
    """

    guarantee: Amount | None = None
    ceiling: Amount | None = None
    shares: float | None = None
    managed: bool | None = None


class JournalConfig(msgspec.Struct, frozen=True):
    """`[journal]`: where observations and moves are kept, and how many.

    Every tick for `keep_hours`, then a summary for `keep_days`.
    """

    enabled: bool = True
    path: str | None = None
    keep_hours: float = 48.0
    keep_days: float = 90.0
    keep_size: Size = Size(GIB)


class ApiConfig(msgspec.Struct, frozen=True):
    """`[api]`: the local socket. Who may connect is said by its `mode` and its `group`."""

    enabled: bool = True
    socket: str | None = None
    mode: int = 0o660
    group: str | None = None


class MetricsConfig(msgspec.Struct, frozen=True):
    """`[metrics]`: figures for Prometheus on a TCP address; the API's socket always has them."""

    enabled: bool = False
    listen: str = "127.0.0.1:9178"


class Config(msgspec.Struct, frozen=True):
    """Everything that the manager is told. Times are seconds.

    `mode` is ``need`` (memory is taken only while it is needed) or ``density`` (what is idle is
    always taken). `policy` names who says which sizes guests should have. `sample_timeout` is how
    long one round of samples may take (half the interval unless said), `request_timeout` how long a
    guest's monitor has to take a new target.
    """

    manage: bool = False
    mode: Literal["need", "density"] = "need"
    policy: str = "aerostat"
    interval: float = 1.0
    sample_timeout: float | None = None
    request_timeout: float = 2.0
    on_exit: Literal["hold", "release"] = "hold"
    state_directory: str | None = None
    host: HostConfig = HostConfig()
    connector: tuple[ConnectorConfig, ...] = ()
    guests: GuestConfig = GuestConfig()
    guest: tuple[tuple[str, GuestConfig], ...] = ()
    journal: JournalConfig = JournalConfig()
    api: ApiConfig = ApiConfig()
    metrics: MetricsConfig = MetricsConfig()

    @property
    def sample_limit(self) -> float:
        """Return the seconds that one round of samples may take."""
        return self.interval / 2 if self.sample_timeout is None else self.sample_timeout

    @property
    def state_path(self) -> Path:
        """Return the directory of the state file and the lock."""
        if self.state_directory is None:
            return paths.state_directory()
        return Path(self.state_directory)

    @property
    def journal_path(self) -> Path:
        """Return the journal's file."""
        if self.journal.path is None:
            return self.state_path / "journal.sqlite"
        return Path(self.journal.path)

    @property
    def socket_path(self) -> Path:
        """Return the API's socket."""
        return paths.api_socket() if self.api.socket is None else Path(self.api.socket)

    def promise(
        self, name: str, key: str, max_size: int, own: GuestConfig | None = None
    ) -> "Promise":
        """Return what is promised to the guest `name` of `max_size` bytes.

        `own` is what its own definition says: more than `[guests]`, less than `[guest.NAME]`.
        """
        said = self.guests if own is None else _overlay(self.guests, own)
        for pattern, guest in self.guest:
            if fnmatchcase(name, pattern) or fnmatchcase(key, pattern):
                said = _overlay(said, guest)
        ceiling = max_size if said.ceiling is None else min(said.ceiling.of(max_size), max_size)
        if said.guarantee is None:
            guarantee = max(int(max_size * DEFAULT_GUARANTEE), SMALLEST_DEFAULT_GUARANTEE)
        else:
            guarantee = said.guarantee.of(max_size)
        return Promise(
            guarantee=min(guarantee, ceiling),
            ceiling=ceiling,
            shares=max(1.0, ceiling / MIB) if said.shares is None else said.shares,
            managed=said.managed is not False,
        )


class Promise(NamedTuple):
    """What one guest is promised: bytes, bytes, a weight, and whether it is managed at all."""

    guarantee: int
    ceiling: int
    shares: float
    managed: bool


def _overlay(under: GuestConfig, over: GuestConfig) -> GuestConfig:
    said = {
        key: value for key in over.__struct_fields__ if (value := getattr(over, key)) is not None
    }
    return msgspec.structs.replace(under, **said)
