"""What the doctor finds of monitors' sockets and of libvirt: judged, and really looked at."""

import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from aerostat.cli import doctor_facts as facts
from aerostat.doctor.findings import Level
from aerostat.doctor.sockets import LibvirtFacts, SocketFacts, libvirt_findings, qmp_findings

GOOD = SocketFacts("/run/a.qmp", there=True, socket=True, usable=True, group="kvm")
LIBVIRT = LibvirtFacts("qemu:///system", "/usr/bin/python3", has_module=True, sockets=(GOOD,))


def test_sockets_that_are_well() -> None:
    (found,) = qmp_findings("/run/*.qmp", (GOOD, GOOD), "aerostat")
    assert (found.level, found.check) == (Level.OK, "sockets")


def test_no_socket() -> None:
    (found,) = qmp_findings("/run/*.qmp", (), "aerostat")
    assert (found.level, found.subject) == (Level.CRITICAL, "qmp /run/*.qmp")
    assert "-qmp unix:" in str(found.mend)


def test_sockets_that_cannot_be_used() -> None:
    file, locked = GOOD._replace(socket=False), GOOD._replace(usable=False)
    one, two = qmp_findings("/run/*", (GOOD, file, locked), "aerostat")

    assert (one.level, two.level) == (Level.WARNING, Level.CRITICAL)
    assert two.mend == "setfacl -m u:aerostat:rw /run/a.qmp"


def test_a_libvirt_that_is_well() -> None:
    assert {found.level for found in libvirt_findings(LIBVIRT, "root")} == {Level.OK}


@pytest.mark.parametrize(
    ("wrong", "check", "mend"),
    [
        ({"has_module": False}, "libvirt_python", "apt install python3-libvirt"),
        ({"sockets": (SocketFacts("/run/a", there=False),)}, "libvirt_daemon", "libvirtd.socket"),
        (
            {"sockets": (GOOD._replace(usable=False, group="libvirt"),)},
            "libvirt_group",
            "usermod -aG libvirt aerostat",
        ),
    ],
)
def test_what_is_wrong_with_libvirt(wrong: dict[str, object], check: str, mend: str) -> None:
    found = libvirt_findings(LIBVIRT._replace(**wrong), "aerostat")  # type: ignore[arg-type]
    (bad,) = (finding for finding in found if finding.level is Level.CRITICAL)

    assert bad.check == check
    assert mend in str(bad.mend)


def test_what_is_at_a_path(tmp_path: Path) -> None:
    path, file = tmp_path / "a.qmp", tmp_path / "b.qmp"
    file.touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        one, two = facts.sockets_of(str(tmp_path / "*.qmp"))

    assert (one.path, one.socket, one.usable) == (str(path), True, True)
    assert (two.path, two.there, two.socket) == (str(file), True, False)
    assert not facts.socket_at(str(tmp_path / "c")).there


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take another user's part")
def test_a_socket_that_another_user_may_not_open() -> None:
    # Not in pytest's own directory, into which no other user may look.
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
        Path(place).chmod(0o755)
        path = Path(place, "a.qmp")
        listener.bind(str(path))
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            seen, name = facts.socket_at(str(path)), facts.user()
        finally:
            os.seteuid(0)

    assert (seen.socket, seen.usable) == (True, False)
    assert name == "nobody"


def test_which_python_has_libvirt(tmp_path: Path) -> None:
    assert not facts.libvirt_at("test:///default", str(tmp_path / "no-python")).has_module
    (tmp_path / "libvirt.py").touch()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    seen = facts.libvirt_at("test:///default", str(python))
    assert seen.has_module
    assert seen.sockets == ()


def test_where_libvirt_listens() -> None:
    def paths(uri: str) -> list[str]:
        return [seen.path for seen in facts.libvirt_at(uri, "/no-python").sockets]

    assert paths("qemu:///system") == ["/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"]
    assert paths("qemu+unix:///system?socket=/run/other") == ["/run/other"]
    assert paths("qemu:///session") == paths("qemu+ssh://far/system") == []
