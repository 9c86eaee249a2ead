"""Where a manager keeps its things, and where a client looks for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.daemon import paths


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], None]:
    """Become a user without any directories named in the environment."""
    for name in ("RUNTIME", "STATE", "CONFIGURATION"):
        monkeypatch.delenv(f"{name}_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(paths, "_HOST_RUNTIME", tmp_path / "host")
    return lambda uid: monkeypatch.setattr("os.geteuid", lambda: uid)


def test_a_service_keeps_its_things_where_systemd_says(
    user: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    user(990)
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/aerostat:/run/more")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/aerostat")
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", "/etc/aerostat")

    assert paths.api_socket() == Path("/run/aerostat/aerostat.sock")
    assert paths.state_directory() == Path("/var/lib/aerostat")
    assert paths.config_file() == Path("/etc/aerostat/aerostat.toml")


def test_a_client_asks_the_users_own_manager_before_the_hosts(
    user: Callable[[int], None], tmp_path: Path
) -> None:
    own, host = (tmp_path / place / "aerostat.sock" for place in ("own/aerostat", "host"))
    user(1000)

    assert paths.manager_socket() == own
    host.parent.mkdir()
    host.touch()
    assert paths.manager_socket() == host
    own.parent.mkdir(parents=True)
    own.touch()
    assert paths.manager_socket() == own


def test_root_asks_the_hosts_manager(user: Callable[[int], None], tmp_path: Path) -> None:
    user(0)

    assert paths.manager_socket() == tmp_path / "host" / "aerostat.sock"
