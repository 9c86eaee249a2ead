"""What guests of a demonstration are."""

import pytest

from aerostat.demo import kinds
from aerostat.errors import MissingError


@pytest.fixture
def without_uml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEROSTAT_UML", "/nowhere/linux.uml")


@pytest.mark.uml
@pytest.mark.parametrize("wanted", ["auto", "uml"])
def test_real_linux_where_it_can_be_had(wanted: str) -> None:
    assert kinds.choose(wanted) == (kinds.UML, "")


@pytest.mark.usefixtures("without_uml")
def test_processes_elsewhere_and_that_is_said_in_one_line() -> None:
    kind, remark = kinds.choose("auto")
    assert kind is kinds.PROCESS
    assert "apt-get install user-mode-linux" in remark
    assert "guests are processes" in remark
    assert "\n" not in remark


@pytest.mark.usefixtures("without_uml")
def test_who_wants_real_linux_gets_it_or_nothing() -> None:
    with pytest.raises(MissingError, match="no user-mode Linux here"):
        kinds.choose("uml")


@pytest.mark.usefixtures("without_uml")
def test_processes_need_nothing_else() -> None:
    assert kinds.choose("process") == (kinds.PROCESS, "")
