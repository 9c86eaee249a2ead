"""The frame: commands found lazily, errors in one line, exit codes."""

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from aerostat import __version__
from aerostat.cli import main as main_module
from aerostat.cli.errors import (
    BadConfigError,
    ExitCode,
    NotThereError,
    UnavailableError,
    exit_code,
    one_line,
)
from aerostat.cli.main import cli
from aerostat.errors import LinkError, MissingError, UsageError

Call = Callable[..., tuple[int, str, str]]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_version(call: Call) -> None:
    assert call("--version") == (0, f"aerostat {__version__}\n", "")


def test_python_m_aerostat_is_the_same_command() -> None:
    done = python("-m", "aerostat", "--version")
    assert (done.returncode, done.stdout) == (0, f"aerostat {__version__}\n")


def test_ctrl_c_while_it_is_loaded_ends_it_quietly() -> None:
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from aerostat.__main__ import main; main()"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "")


def test_what_the_locale_cannot_write_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code = (
        "from aerostat.cli import main as m; m.invoke = lambda _: print('\\u2193 idle'); m.main()"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "? idle\n", "")


def test_the_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; from aerostat.cli.main import invoke; invoke(['--version'])\n"
        "print(*sorted({'numpy', 'rich', 'aiohttp', 'asyncio', 'msgspec', 'http.client'}"
        " & set(sys.modules)))"
    )
    done = python("-c", code)
    assert done.stdout.splitlines() == [f"aerostat {__version__}", ""], done.stderr


def test_help_lists_the_commands_with_examples(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    for word in ("device", "explain", "list", "run", "set", "stats", "Examples:", "COMPLETE"):
        assert word in out


@pytest.mark.parametrize("name", ["explain", "list", "run", "set", "stats"])
def test_each_command_has_help_with_examples(call: Call, name: str) -> None:
    code, out, _ = call(name, "--help")
    assert code == 0
    assert "Examples:" in out
    assert f"  aerostat {name} " in out


def test_a_command_appears_when_its_module_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    context = click.Context(cli)
    monkeypatch.setitem(main_module._COMMANDS, "gone", "aerostat.nothing.here:command")
    assert cli.get_command(context, "gone") is None
    assert "gone" not in cli.list_commands(context)
    monkeypatch.setitem(main_module._COMMANDS, "again", "aerostat.cli.list:command")
    assert cli.get_command(context, "again") is cli.get_command(context, "list")


def test_an_unknown_command_is_one_line(call: Call) -> None:
    code, out, err = call("lst")
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.startswith("error: No such command 'lst'")
    assert "aerostat --help" in err
    assert err.count("\n") == 1


def test_an_unknown_option_names_the_commands_own_help(call: Call) -> None:
    code, _, err = call("list", "--colour")
    assert code == ExitCode.USAGE
    assert "see 'aerostat list --help'" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (click.UsageError("x"), 2),
        (NotThereError("x"), 3),
        (PermissionError(13, "Permission denied"), 4),
        (UnavailableError("x"), 69),
        (BadConfigError("x"), 78),
        (LinkError("x"), 1),
        (MissingError("x"), 1),
        (FileNotFoundError(2, "No such file"), 1),
        (ZeroDivisionError("a mistake of ours"), None),
    ],
)
def test_exit_codes(error: Exception, code: int | None) -> None:
    assert exit_code(error) == code


def test_an_error_of_the_system_names_its_file() -> None:
    assert one_line(FileNotFoundError(2, "No such file", "/x")) == "no such file: /x"


def test_an_error_is_one_clean_line() -> None:
    assert one_line(LinkError("a\nb \x1b[31mred")) == "a b ?[31mred"


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (LinkError("the link broke"), 1, "error: the link broke\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (click.Abort(), 130, ""),
    ],
)
def test_what_a_command_raises_is_caught_in_one_place(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, shown: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setitem(cli.commands, "fail", click.Command("fail", callback=fail))
    monkeypatch.setattr(cli, "get_command", lambda _context, name: cli.commands.get(name))
    assert call("fail") == (code, "", shown)


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    code = (
        "import os; from aerostat.cli.main import main; r, w = os.pipe();"
        "os.dup2(w, 1); os.close(w); os.close(r); main(['--help'])"
    )
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (1, "")
