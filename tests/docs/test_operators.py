"""The operators' guide says what the code does: every table is compared with it."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.cli.errors import ExitCode
from aerostat.cli.main import cli
from aerostat.daemon import config
from aerostat.daemon.api.peers import CONNECTION_LIMIT, MOST_CONNECTIONS, MOST_OF_A_READER
from aerostat.daemon.api.routes import ROUTES
from aerostat.daemon.api.server import _LARGEST_BODY
from aerostat.daemon.config import Config, parse
from aerostat.engine import plan
from aerostat.engine.conditions import Condition
from aerostat.engine.plan import Reason
from aerostat.engine.settings import Settings
from aerostat.tui.columns import guest_columns

PAGE = "docs/operators.md"
SOURCE = Path(config.__file__).parents[2]


@pytest.fixture(scope="module")
def page(document: Callable[[str], Any]) -> Any:
    return document(PAGE)


def test_the_columns_are_those_of_the_view(page: Any) -> None:
    assert list(page.table("column")) == [column.title for column in guest_columns(8)]


def test_the_conditions_are_those_of_the_engine(page: Any) -> None:
    told = set(page.table("condition"))

    assert told == {condition.name.lower() for condition in Condition} | {"unreachable"}


def test_the_reasons_and_their_words_are_those_of_the_engine(page: Any) -> None:
    told = {reason: words for reason, (words,) in page.table("reason").items()}

    assert told == {reason.name.lower(): plan._SENTENCES[reason] for reason in Reason}


def test_the_times_in_the_conditions_are_the_settings(page: Any) -> None:
    table, settings = page.table("condition"), Settings()

    assert f"at most {settings.fresh_for:g} s old" in table["fresh"][0]
    assert f"no figures for {settings.silent_after:g} s" in table["silent"][0]
    assert f"not moved for {settings.patience:g} s" in table["stuck"][0]
    assert f"not asked again for {settings.stuck_for:g} s" in table["stuck"][1]
    assert f"for {settings.useless_for / 60:g} minutes" in table["useless"][1]
    assert f"{settings.pool_share:.0%}".replace("%", " %") in page.section("What the words mean")


def test_no_configuration_key_is_missing(page: Any) -> None:
    tables: dict[str, Any] = {
        "host": config.HostConfig,
        "connector": config.ConnectorConfig,
        "guests": config.GuestConfig,
        "journal": config.JournalConfig,
        "api": config.ApiConfig,
        "metrics": config.MetricsConfig,
    }
    keys = {key for key in Config.__struct_fields__ if key not in {*tables, "guest"}}
    keys |= {f"{name}.{key}" for name, kind in tables.items() for key in kind.__struct_fields__}

    assert set(page.table("key")) == keys | {'guest."NAME".…'}


def test_the_defaults_are_those_of_the_code(page: Any) -> None:
    compared = 0
    for key, (default, _) in page.table("key").items():
        value = default.strip("`")
        if key.startswith(("host", "guests", "connector")) or not re.fullmatch(
            r'(true|false|[0-9.]+|0o[0-7]+|"[A-Za-z0-9]+")', value
        ):
            continue
        *section, name = key.split(".")
        said: Any = tomllib.loads(f"{name} = {value}")
        table = {section[0]: said} if section else said

        assert parse(table, "the page") == Config(), key
        compared += 1
    assert compared >= 10


def test_a_size_and_the_reserve_are_as_told(page: Any) -> None:
    from aerostat.daemon.host_keeper import _DEFAULT_RESERVE

    assert page.table("key")["host.reserve"][0].strip("`") == f'"{_DEFAULT_RESERVE.fraction:.0%}"'


def test_the_api_is_as_told(page: Any) -> None:
    told = [request.partition("?")[0] for request in page.table("request")]

    assert told == [f"{route.verb} {route.path.replace('{name}', 'NAME')}" for route in ROUTES]
    for limit in (_LARGEST_BODY >> 10, CONNECTION_LIMIT, MOST_CONNECTIONS, MOST_OF_A_READER):
        assert f" {limit:g} " in page.section("The API")


def test_the_exit_codes_are_as_told(page: Any) -> None:
    assert set(page.table("code")) == {str(int(code)) for code in ExitCode}


def test_what_is_said_to_a_monitor_is_as_told(page: Any) -> None:
    section = page.section("What aerostat says to a monitor")
    source = (SOURCE / "hypervisors" / "qmp" / "balloons.py").read_text()
    said = set(re.findall(r'Ask\(\s*"([a-z-]+)"', source))

    assert said
    assert said | {"qmp_capabilities", "aerostat-sample"} <= set(re.findall(r"`([^`]+)`", section))


def test_every_command_and_option_that_is_shown_exists(page: Any) -> None:
    shown = re.findall(r"\baerostat ([a-z]+)((?: [^`\n|]*)?)", "\n".join(page.code("console")))
    assert {"run", "list", "explain", "set"} <= {name for name, _ in shown}
    for name, rest in shown:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        known |= {option for parameter in command.params for option in parameter.secondary_opts}
        assert set(re.findall(r"(--[a-z-]+)", rest)) <= known, (name, rest)
