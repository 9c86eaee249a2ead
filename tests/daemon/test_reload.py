"""Reading the configuration again: all of it or nothing, and what stays keeps its connections."""

from pathlib import Path

import msgspec
import pytest

from aerostat.daemon import reload
from aerostat.daemon.config import Config, load, loads
from aerostat.daemon.connectors import connectors_of, reconnected
from aerostat.daemon.host_keeper import HostKeeper
from aerostat.daemon.reload import Reloader
from aerostat.errors import MissingError, UsageError
from aerostat.hypervisors.base import Connector
from aerostat.testing.mocks.connector import FakeConnector, FakeGuest
from aerostat.testing.mocks.house import House
from aerostat.units import MIB

ONE = '[[connector]]\nkind = "qmp"\nsockets = ["/one"]\n'
TWO = '[[connector]]\nkind = "qmp"\nsockets = ["/two"]\n'


class Fakes:
    """The connectors that are made in the place of real ones, by their first socket."""

    def __init__(self, house: House) -> None:
        self.made: dict[str, FakeConnector] = {}
        self._house = house
        self._guests: dict[str, FakeGuest] = {}

    def make(self, entry: msgspec.Struct, _config: Config) -> Connector:
        """Make one with a guest called as its socket."""
        path = entry.sockets[0]  # type: ignore[attr-defined]
        guest = self._guests.setdefault(path, FakeGuest(path.strip("/")))
        guest.uses(200 * MIB)
        self.made[path] = FakeConnector(guest, clock=self._house.clock.monotonic)
        return self.made[path]


@pytest.fixture
def fakes(house: House, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    fakes = Fakes(house)
    monkeypatch.setattr("aerostat.daemon.connectors._make", fakes.make)
    return fakes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "aerostat.toml"


def write(file: Path, text: str) -> None:
    """Have the configuration file say `text`."""
    file.write_text(text)


async def start(house: House, file: Path, text: str) -> HostKeeper:
    """Start a manager of the configuration `text` that can be reloaded from `file`."""
    write(file, text)
    config = load(file)
    manager = await house.start(config, connectors=reconnected(Config(), [], config))
    keeper = HostKeeper(config)
    manager.reloader = Reloader(manager, keeper, lambda: load(file)).reload
    await house.clock.advance(2)
    return keeper


async def test_what_stays_keeps_its_connection(house: House, fakes: Fakes, file: Path) -> None:
    await start(house, file, ONE + TWO)
    one, two = fakes.made["/one"], fakes.made["/two"]
    before = house.last.config_loaded_wall or 0.0
    write(
        file,
        'manage = false\ninterval = 2.0\n[guest.one]\nguarantee = "300MiB"\n'
        + ONE
        + TWO.replace("/two", "/three"),
    )
    assert await house.manager.reload() is None
    await house.clock.advance(0.1)  # it is not waited for
    assert fakes.made["/one"] is one
    assert (one.closed, two.closed, fakes.made["/three"].started) == (False, True, True)
    await house.clock.advance(4)
    row = next(guest for guest in house.last.guests if guest.name == "one")
    assert (row.guarantee, house.last.interval) == (300 * MIB, 2.0)
    assert "three" in {guest.name for guest in house.last.guests}
    assert (house.last.config_loaded_wall or 0.0) > before
    assert house.last.config_problem is None


async def test_a_guest_that_changes_connectors_is_not_forgotten(
    house: House, fakes: Fakes, file: Path
) -> None:
    await start(house, file, "manage = true\n" + ONE)
    house.manager.set_target("fake:one", 256 * MIB)
    await house.clock.advance(8)
    demand = house.last.guests[0].demand
    assert demand
    write(file, "manage = true\n" + ONE.replace('["/one"]', '["/one", "/more"]'))
    await house.manager.reload()
    await house.clock.advance(1)
    assert fakes.made["/one"].started
    assert house.last.guests[0].demand == pytest.approx(demand, rel=0.3)
    assert house.last.guests[0].pinned == 256 * MIB


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONE + "interval = ", "not TOML"),
        ("intervall = 3\n" + ONE, ":1: intervall: no such key"),
        ("interval = 3", "no guests are named"),
        ('[host]\ncgroup = "/no/such.slice"\n' + TWO, "cgroup"),
    ],
)
async def test_of_a_bad_configuration_nothing_is_applied(
    house: House, fakes: Fakes, file: Path, text: str, words: str
) -> None:
    await start(house, file, ONE)
    config = house.manager.config
    write(file, text)
    with pytest.raises(UsageError, match=words):
        await house.manager.reload()
    await house.clock.advance(2)
    assert house.manager.config is config
    assert words in (house.last.config_problem or "")
    assert any(words in problem for problem in house.last.problems)
    assert not fakes.made["/one"].closed
    assert not any(fake.started for path, fake in fakes.made.items() if path != "/one")
    write(file, ONE)
    await house.manager.reload()
    await house.clock.advance(1)
    assert house.last.config_problem is None


async def test_what_waits_for_the_next_start_is_said(
    house: House, fakes: Fakes, file: Path
) -> None:
    await start(house, file, ONE)
    write(file, ONE + '[api]\nsocket = "/elsewhere"\n[journal]\nkeep_hours = 1\n')
    assert await house.manager.reload() == "waits for the next start: journal, api"
    assert house.manager.config.api.socket is None


async def test_without_a_file_there_is_nothing_to_read(house: House) -> None:
    await house.start()
    with pytest.raises(UsageError, match="without a configuration file"):
        await house.manager.reload()


async def test_a_connector_that_cannot_be_made_changes_nothing(
    house: House, fakes: Fakes, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(house, file, ONE)

    def missing(*_: object) -> list[Connector]:
        raise MissingError("no libvirt here")

    monkeypatch.setattr(reload, "reconnected", missing)
    with pytest.raises(UsageError, match="no libvirt here"):
        await house.manager.reload()
    assert not fakes.made["/one"].closed


def test_every_kind_of_connector_is_made() -> None:
    text = 'kind = "qmp"\nsockets = ["/a"]\n[[connector]]\nkind = "qmp"\nsockets = ["/b"]\n'
    text += 'agents = "/{name}.qga"\n[[connector]]\nkind = "libvirt"\nagents = true\n'
    text += "trust_metadata = false\n"
    config = loads("[[connector]]\n" + text)
    made = connectors_of(config)
    assert [connector.name for connector in made] == ["qmp", "qmp", "libvirt"]
    same = reconnected(config, made, msgspec.structs.replace(config, interval=2.0))
    assert same == made
    slower = reconnected(config, made, msgspec.structs.replace(config, interval=30.0))
    assert slower[:2] == made[:2]
    assert slower[2] is not made[2]
    assert not set(reconnected(config, made, msgspec.structs.replace(config, manage=True))) & {
        *made
    }


async def test_the_policy_may_be_another_one(house: House, fakes: Fakes, file: Path) -> None:
    await start(house, file, 'policy = "mom"\n' + ONE)
    guide = house.manager.guide
    assert guide is not None
    assert guide.spec == "mom"
    write(file, 'interval = 2.0\npolicy = "mom"\n' + ONE)
    await house.manager.reload()
    assert house.manager.guide is guide  # with all that it remembers
    write(file, 'policy = "static"\n' + ONE)
    await house.manager.reload()
    assert house.manager.guide is not None
    assert house.manager.guide.spec == "static"
    write(file, ONE)
    await house.manager.reload()
    assert house.manager.guide is None
