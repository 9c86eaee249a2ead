"""Configuration: every mistake is a UsageError that says what would be right."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.daemon.config import (
    Amount,
    Config,
    ConfigError,
    GuestConfig,
    load,
    loads,
    own_settings,
    parse,
)
from aerostat.daemon.config.text import written
from aerostat.errors import UsageError
from aerostat.units import GIB, MIB

EXAMPLE = """
manage = true
interval = 2
on_exit = "release"
[host]
reserve = "10%"
[[connector]]
kind = "qmp"
sockets = ["/run/guests/*.qmp"]
[guests]
guarantee = "30%"
[guest."db-*"]
guarantee = "1GiB"
shares = 20000
[guest.db-1]
managed = false
[journal]
keep_hours = 1
[api]
mode = 0o600
"""


def test_the_example_reads_as_it_says() -> None:
    config = loads(EXAMPLE)
    assert config.manage
    assert config.sample_limit == 1.0
    assert config.host.reserve is not None
    assert config.host.reserve.of(20 * GIB) == 2 * GIB
    assert config.connector[0].sockets == ("/run/guests/*.qmp",)
    assert config.api.mode == 0o600


def test_without_a_word_nothing_is_managed() -> None:
    config = loads("")
    assert config == Config()
    assert not config.manage


def test_later_tables_win_and_only_for_what_they_say() -> None:
    config = loads(EXAMPLE)
    assert config.promise("web", "k", 4 * GIB)[:2] == (4 * GIB * 3 // 10, 4 * GIB)
    second = config.promise("db-2", "k", 4 * GIB)
    assert (second.guarantee, second.shares, second.managed) == (GIB, 20000, True)
    first = config.promise("db-1", "k", 4 * GIB)
    assert (first.guarantee, first.shares, first.managed) == (GIB, 20000, False)


def test_a_key_matches_too() -> None:
    config = loads('[guest."qmp:/run/*"]\nmanaged = false')
    assert not config.promise("any", "qmp:/run/a.sock", GIB).managed
    assert config.promise("any", "qmp:/tmp/a.sock", GIB).managed


@pytest.mark.parametrize(
    ("size", "guarantee"), [(64, 64), (128, 64), (256, 64), (512, 128), (4096, 1024), (32, 32)]
)
def test_the_default_guarantee_is_a_quarter_and_at_least_64_mib(size: int, guarantee: int) -> None:
    promise = Config().promise("a", "k", size * MIB)
    assert promise.guarantee == guarantee * MIB
    assert promise.ceiling == size * MIB
    assert promise.shares == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('manage = "yes"', "f.toml:1: manage: Expected `bool`, got `str`"),
        ("intervall = 1", "f.toml:1: intervall: no such key; did you mean interval?"),
        (
            "[host]\nbudget = 4",
            'f.toml:2: host.budget: write it as text with a unit, such as "512MiB"',
        ),
        ('[host]\nbudget = "4"', "f.toml:2: host.budget: not a size: '4'"),
        ('[host]\nbudget = "0B"', "f.toml:2: host.budget: must be more than nothing"),
        (
            '[host]\nbudget = "1GiB"\nreserve = "1%"',
            "f.toml:1: host: must be either budget or reserve",
        ),
        ('[host]\nbugdet = "4GiB"', "f.toml:2: host.bugdet: no such key; did you mean budget?"),
        (
            "[host]\nx = 1",
            "f.toml:2: host.x: no such key; there are: budget, ",
        ),
        (
            '[[connector]]\nkind = "xen"',
            "f.toml:2: connector[0].kind: Invalid enum value 'xen'; write one of: qmp, libvirt",
        ),
        (
            '\n[[connector]]\nkind = "qmp"',
            "f.toml:2: connector[0].sockets: must be at least",
        ),
        ('[guest."a"]\nguarantee = "101%"', 'guest."a".guarantee: not a percentage'),
        ('[guest.a]\nguarantee = "2GiB"\nceiling = "1GiB"', 'guest."a".guarantee: must be at most'),
        ("[guests]\nshares = 0", "guests.shares: must be a number more than 0"),
        ("[guests]\nshares = inf", "guests.shares: must be a number more than 0"),
        ("connector = 3", "connector: must be tables, each under [[connector]]"),
        ("guest = 3", "guest: must be a table"),
        ("[api]\nmode = 660", "api.mode: must be a file mode in octal, such as 0o660"),
        ("interval = nan", "interval: must be seconds, from 0.05 to 3600"),
        ("interval = 1\nsample_timeout = 1", "sample_timeout: must be seconds, from 0.01 to less"),
        ('on_exit = "panic"', "on_exit: Invalid enum value 'panic'; write one of: hold, release"),
        ("manage =", "f.toml: not TOML: Invalid value (at end of document)"),
        ("a = 1\nmanage = yes", "f.toml:2: not TOML: Invalid value (at line 2, column 10)"),
        (
            '[[connector]]\nkind = "libvirt"\nsockets = ["/a"]',
            "f.toml:3: connector[0].sockets",
        ),
        (
            '[[connector]]\nkind = "qmp"\nsockets = ["/a"]\nagents = "/b"',
            "f.toml:4: connector[0]",
        ),
        ("[host]\nmemory_high = true", "f.toml:2: host.memory_high: must be false, unless"),
        ('[host]\ncgroup = "a"\nreserve = "1%"', "f.toml:1: host: must be either"),
        ('[metrics]\nlisten = "9178"', "f.toml:2: metrics.listen: must be an address and a port"),
        ("x = " + "[" * 9999, "f.toml: nested too deeply"),
        ("x = " + "1" * 9999, "f.toml: not TOML: "),
        (f'[host]\nbudget = "{"9" * 400}g"', "host.budget: no machine has so much memory"),
    ],
)
def test_errors_name_the_file_the_key_and_what_is_right(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(text, "f.toml")
    assert message in str(caught.value)


def test_options_are_laid_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "aerostat.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    config = load(path, {"manage": False, "api": {"socket": "/x"}, "host": {"reserve": "1GiB"}})
    assert not config.manage
    assert config.api.socket == "/x"
    assert config.api.mode == 0o600
    assert config.host.reserve is not None
    assert config.host.reserve.of(0) == GIB


def test_a_mistake_in_an_option_does_not_blame_the_file(tmp_path: Path) -> None:
    path = tmp_path / "aerostat.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    with pytest.raises(UsageError, match=r"^options: host\.budget: not a size"):
        load(path, {"host": {"budget": "lots"}})


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "aerostat.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"aerostat\.toml: cannot be read"):
        load(path)


class TestDropIns:
    @pytest.fixture
    def main(self, tmp_path: Path) -> Path:
        path = tmp_path / "aerostat.toml"
        path.write_text(EXAMPLE, encoding="utf-8")
        (tmp_path / "conf.d").mkdir()
        return path

    def add(self, main: Path, name: str, text: str) -> None:
        (main.parent / "conf.d" / name).write_text(text, encoding="utf-8")

    def test_they_replace_keys_in_the_order_of_their_names(self, main: Path) -> None:
        self.add(main, "20-b.toml", "interval = 5\n")
        self.add(main, "10-a.toml", 'interval = 4\n[guest."db-*"]\nshares = 7\n')
        self.add(main, "notes.txt", "none of it")
        self.add(main, ".30-hidden.toml", "interval = 6")
        config = load(main)
        assert config.interval == 5
        promise = config.promise("db-2", "k", 4 * GIB)
        assert (promise.guarantee, promise.shares) == (GIB, 7)

    def test_they_add_connectors(self, main: Path) -> None:
        self.add(main, "a.toml", '[[connector]]\nkind = "libvirt"\n')
        config = load(main)
        assert [connector.kind for connector in config.connector] == ["qmp", "libvirt"]

    def test_a_mistake_is_told_with_its_own_file(self, main: Path) -> None:
        self.add(main, "a.toml", '# one\n[[connector]]\nkind = "libvirt"\nuri = ""\n')
        with pytest.raises(ConfigError, match=r"conf.d/a.toml:4: connector\[1\].uri: must be such"):
            load(main)

    def test_one_that_is_no_toml_is_told_so(self, main: Path) -> None:
        self.add(main, "a.toml", "x = 1\n[")
        with pytest.raises(ConfigError, match=r"conf.d/a.toml"):
            load(main)


class TestOwnSettings:
    def test_they_say_more_than_all_guests_and_less_than_this_one(self) -> None:
        config = loads(
            '[guests]\nguarantee = "30%"\nshares = 5\n[guest.a]\nceiling = "3GiB"', "f.toml"
        )
        words = {"guarantee": "2GiB", "ceiling": "50%", "shares": "9", "managed": "no"}
        own, problems = own_settings(words)
        assert problems == ()
        assert config.promise("b", "k", 4 * GIB, own) == (2 * GIB, 2 * GIB, 9, False)
        assert config.promise("a", "k", 4 * GIB, own) == (2 * GIB, 3 * GIB, 9, False)

    def test_what_is_wrong_is_left_out_and_told(self) -> None:
        own, problems = own_settings(
            {"guarantee": "lots", "shares": "-1", "managed": "perhaps", "ceiling": "1GiB", "x": "1"}
        )
        assert own == GuestConfig(ceiling=Amount(GIB))
        assert len(problems) == 4
        assert problems[0].startswith("its definition: guarantee: not a size: 'lots'")


@pytest.mark.parametrize("text", [EXAMPLE, "", '[host]\nbudget = "1536MiB"\n[guest."a\\"b"]\n'])
def test_what_is_written_reads_back_the_same(text: str) -> None:
    config = loads(text)
    assert loads(written(config)) == config


KEYS = st.sampled_from(
    [
        "manage",
        "interval",
        "host",
        "budget",
        "reserve",
        "connector",
        "kind",
        "sockets",
        "guests",
        "guest",
        "guarantee",
        "ceiling",
        "shares",
        "journal",
        "path",
        "keep_size",
        "api",
        "mode",
    ]
) | st.text(max_size=8)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.dates()
    | st.datetimes()
    | st.sampled_from(["qmp", "hold", "4GiB", "10%", "1e999%", "nan%", "-1GiB", "\ud800"])
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_whatever_a_table_holds_it_is_a_configuration_or_a_usage_error(
    table: dict[str, object],
) -> None:
    try:
        config = parse(table, "test")
    except UsageError as error:
        assert str(error).startswith("test: ")  # noqa: PT017 - either is right
    else:
        promise = config.promise("a", "k", GIB)
        assert 0 <= promise.guarantee <= promise.ceiling <= GIB


@given(st.text(max_size=200) | st.sampled_from(EXAMPLE.splitlines()).map(lambda x: EXAMPLE + x))
def test_whatever_text_it_is_a_configuration_or_a_usage_error(text: str) -> None:
    try:
        loads(text, "test")
    except UsageError:
        return
    tomllib.loads(text)
