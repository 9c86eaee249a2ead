"""User-mode Linux on a processor whose registers are larger than it knows."""

from pathlib import Path

import pytest

from aerostat.errors import MissingError
from aerostat.testing.guests import uml, xstate
from aerostat.testing.guests.uml import UmlGuest
from aerostat.units import MIB


@pytest.mark.parametrize(
    ("said", "wide"),
    [
        ("flags\t\t: fpu avx512f amx_bf16 amx_tile amx_int8\n", True),
        ("flags\t\t: fpu avx512f\nvmx flags\t: amx_tile_like\n", False),
        ("model name\t: amx_tile\n", False),
        ("", False),
    ],
)
def test_the_processors_flags_tell(tmp_path: Path, said: str, wide: bool) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"processor\t: 0\n{said}")
    assert xstate.is_wide(processor) is wide


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert xstate.cache_directory() == Path("/home/somebody/.cache/aerostat")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert xstate.cache_directory() == Path("/cache/aerostat")


def test_without_a_compiler_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=r"AMX.*apt-get install gcc"):
        xstate.build_library(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_most_processors_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xstate, "is_wide", lambda: False)
    assert xstate.command_prefix.__wrapped__() == ()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return xstate.build_library(tmp_path)


@pytest.mark.uml
def test_the_library_is_made_once(library: Path) -> None:
    made = library.stat().st_mtime_ns
    assert xstate.build_library(library.parent).stat().st_mtime_ns == made
    assert list(library.parent.iterdir()) == [library]


@pytest.mark.uml
async def test_a_guest_boots_with_the_library(
    library: Path, run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uml, "command_prefix", lambda: ("env", f"LD_PRELOAD={library}"))
    guest = UmlGuest("guest", size=192 * MIB, directory=run_directory)
    await guest.start()
    assert guest.pid is not None
    assert str(library) in mapped_by(guest.pid)
    assert await guest.command("hold", worker="a", size=MIB)
    await guest.stop()


def mapped_by(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()
