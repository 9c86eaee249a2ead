import os
import tempfile
from pathlib import Path

import pytest

from aerostat.errors import MissingError, UsageError
from aerostat.testing.processes import places
from aerostat.units import GIB, MIB


def test_a_place_with_room_is_found(tmp_path: Path) -> None:
    assert places.memory_directory(MIB, ["/nonexistent", tmp_path]) == tmp_path


def test_where_shared_memory_has_no_room_the_temporary_directory_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "SHARED_MEMORY", Path("/nonexistent"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert places.memory_directory(MIB) == tmp_path


def test_where_there_is_no_room_it_says_how_much_is_needed_where(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        places.memory_directory(2**60, [tmp_path, "/nonexistent"])
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "GiB free" in message or "MiB free" in message
    assert "/nonexistent: not a directory" in message
    assert "1048576.0 TiB" in message
    assert "TMPDIR" in message


def test_a_file_system_that_runs_no_programs_is_passed_over() -> None:
    with pytest.raises(MissingError, match=r"/proc: (mounted noexec|0 B free|not a directory)"):
        places.memory_directory(GIB, ["/proc"])


def test_a_run_directory_is_private_and_short(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="t-") as parent:
        directory = places.run_directory(parent)
        assert directory.stat().st_mode & 0o777 == 0o700
        assert places.run_directories(Path(parent)) == [directory]
        longest = directory / ("x" * 30) / ("m" * 10)
        assert len(os.fsencode(longest)) < 108


def test_a_parent_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    with pytest.raises(UsageError, match="too long"):
        places.run_directory(deep)


@pytest.mark.parametrize("name", ["a space", "a:colon", 'a"mark'])
def test_a_parent_that_guests_cannot_be_told_of_is_refused(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="t-") as parent:
        directory = Path(parent) / name
        directory.mkdir()
        with pytest.raises(UsageError, match="cannot be told"):
            places.run_directory(directory)


@pytest.mark.parametrize("hidden", ["/dev/shm", "/proc", "/sys/kernel"])
def test_a_parent_that_guests_cannot_see_is_refused(hidden: str) -> None:
    with pytest.raises(UsageError, match="cannot see"):
        places.run_directory(hidden)
