"""The command line of ``aerostat demo``, without a guest."""

import pytest

from aerostat.cli.main import invoke


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--for", "0"], "--for takes seconds"),
        (["--for", "nan"], "--for takes seconds"),
        (["--budget", "12"], "write it with a unit"),
        (["--budget", "0MiB"], "more than nothing"),
        (["--record", "/nowhere/at/all.svg"], "no directory"),
        (["--view", "--json", "--guests", "process"], "leave it out"),
        (["--guests", "docker"], "docker"),
    ],
)
def test_wrong_options(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", *arguments]) == 2
    assert hint in capsys.readouterr().err


def test_without_user_mode_linux_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AEROSTAT_UML", "/nowhere/linux.uml")
    assert invoke(["demo", "--json", "--guests", "uml"]) == 1
    told = capsys.readouterr()
    assert "apt-get install user-mode-linux" in told.err
    assert told.out == ""


def test_more_than_the_machine_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", "--json", "--guests", "process", "--budget", "900TiB"]) == 1
    assert "the guests need 900.0 TiB of memory" in capsys.readouterr().err


def test_help_names_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", "--help"]) == 0
    assert "user-mode-linux" in capsys.readouterr().out
