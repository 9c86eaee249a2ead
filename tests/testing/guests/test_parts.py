from pathlib import Path

import pytest

from aerostat.errors import MissingError
from aerostat.testing.guests.parts import find_part, lab_directory


def test_parts_are_found_below_the_laboratory_and_beside_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("new", "newer"):
        (tmp_path / name).mkdir()
    for laboratory in (tmp_path, tmp_path / "newer"):
        monkeypatch.setenv("AEROSTAT_LAB", str(laboratory))
        assert lab_directory() == laboratory
        assert find_part("new", "make new") == tmp_path / "new"


def test_a_missing_part_is_named_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEROSTAT_LAB", str(tmp_path))
    with pytest.raises(MissingError, match=r"no newest in .*: make lab-newer"):
        find_part("newest", "make lab-newer")
