"""The example of a configuration loads, is complete, and tells the truth about defaults."""

import re
from pathlib import Path

import msgspec
import pytest

from aerostat.daemon.config import (
    ApiConfig,
    Config,
    ConnectorConfig,
    GuestConfig,
    HostConfig,
    JournalConfig,
    MetricsConfig,
    load,
    loads,
)
from aerostat.daemon.connectors import LIBVIRT_URI
from aerostat.units import GIB, MIB

PATH = Path(__file__).parents[2] / "examples" / "aerostat.toml"

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "host": HostConfig,
    "connector": ConnectorConfig,
    "guests": GuestConfig,
    "journal": JournalConfig,
    "api": ApiConfig,
    "metrics": MetricsConfig,
}
_HEADING = re.compile(r"^(?:# )?\[+([a-z]+)[^\]]*\]+", re.MULTILINE)
_KEY = re.compile(r"^(?:# )?([a-z_]+) = ", re.MULTILINE)


def keys_by_section() -> dict[str, set[str]]:
    """Return the keys that the example shows, commented ones too, under each heading."""
    top, *rest = _HEADING.split(PATH.read_text())
    found = {"": set(_KEY.findall(top))}
    for heading, text in zip(rest[::2], rest[1::2], strict=True):
        found.setdefault(heading, set()).update(_KEY.findall(text))
    return found


def test_it_loads_and_only_observes() -> None:
    config = load(PATH)

    assert config.manage is False
    assert config.connector[0].sockets == ("/run/vm/*.qmp",)
    assert config.promise("db-1", "qmp:/x", 16 * GIB)[:3] == (8 * GIB, 16 * GIB, 20000)
    assert config.promise("passthrough-gpu", "qmp:/x", GIB).managed is False


@pytest.mark.parametrize("section", ["", *SECTIONS])
def test_no_key_is_missing_and_none_is_invented(section: str) -> None:
    plain = set(Config.__struct_fields__) - {*SECTIONS, "guest"}
    expected = set(SECTIONS[section].__struct_fields__) if section else plain

    assert keys_by_section()[section] == expected


def test_what_it_says_of_defaults_is_so() -> None:
    config, defaults = load(PATH), Config()

    for name in set(Config.__struct_fields__) - {*SECTIONS, "guest"}:
        assert getattr(config, name) == getattr(defaults, name)
    assert (config.journal, config.api) == (defaults.journal, defaults.api)
    assert config.metrics == defaults.metrics


def test_what_it_says_of_libvirt_is_so() -> None:
    _, libvirt = PATH.read_text().split("# [[connector]]\n")
    lines = libvirt.partition("\n\n")[0].splitlines()
    text = "\n".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    (connector,) = loads(f"[[connector]]\n{text}").connector

    assert connector == ConnectorConfig(kind="libvirt", uri=LIBVIRT_URI)


def test_what_its_comments_say_of_defaults_is_so() -> None:
    told = "\n".join(
        line.removeprefix("# ")
        for line in PATH.read_text().splitlines()
        if line.startswith(('# guarantee = "25%"', '# ceiling = "100%"', "# sample_timeout"))
    )
    sample_timeout, guests = told.split("\n", 1)
    said = loads(f"{sample_timeout}\n[guests]\n{guests}")

    assert said.sample_limit == Config().sample_limit
    assert said.promise("a", "a", 2 * GIB)[:2] == Config().promise("a", "a", 2 * GIB)[:2]
    assert Config().promise("a", "a", 128 * MIB).guarantee == 64 * MIB
