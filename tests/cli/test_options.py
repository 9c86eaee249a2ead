"""Values as people write them."""

from pathlib import Path

import click
import pytest

from aerostat.cli.options import DURATION, GUEST

PARAMETER = click.Argument(["guest"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ("0.5s", 0.5), (" 5M ", 300)],
)
def test_a_time_has_a_unit_and_is_seconds(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "1h30", "1e3s", "nan", "0s", "9999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


def test_a_shell_completes_the_names_of_guests(socket: Path, tmp_path: Path) -> None:
    context = click.Context(click.Command("x"))
    context.params = {"socket": socket}
    names = [item.value for item in GUEST.shell_complete(context, PARAMETER, "w")]
    assert names == ["web"]
    assert [item.value for item in GUEST.shell_complete(context, PARAMETER, "")] == ["twin", "web"]
    context.params = {"socket": tmp_path / "nobody"}
    assert GUEST.shell_complete(context, PARAMETER, "") == []
