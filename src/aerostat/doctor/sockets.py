"""What is right and wrong with the ways to guests: monitors' sockets, and libvirt. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from aerostat.doctor import mending
from aerostat.doctor.findings import Finding, Level, counted


class SocketFacts(NamedTuple):
    """What is at a path that should be a socket."""

    path: str
    there: bool
    socket: bool = False
    usable: bool = False
    """Whether we may connect to it."""
    group: str | None = None
    """The group that it belongs to, by name."""


class LibvirtFacts(NamedTuple):
    """What is known of libvirt on this host, for one URI."""

    uri: str
    python: str
    """The interpreter that the helper runs on."""
    has_module: bool
    """Whether that interpreter has the module libvirt."""
    sockets: tuple[SocketFacts, ...] = ()
    """Where a daemon for this URI may listen; none for URIs that need no daemon of this host."""


def qmp_findings(pattern: str, sockets: tuple[SocketFacts, ...], user: str) -> list[Finding]:
    """Return what is found of the sockets that match `pattern`, to be opened by `user`."""
    subject = f"qmp {pattern}"
    if not sockets:
        mend = "-qmp unix:/run/vm/NAME.qmp,server=on,wait=off    # on each guest's command line"
        return [Finding(subject, "sockets", Level.CRITICAL, "no socket matches", mend)]
    found = list(_bad_sockets(subject, sockets, user))
    if not found:
        text = f"{counted(len(sockets), 'socket')}, and all may be opened"
        found.append(Finding(subject, "sockets", Level.OK, text))
    return found


def _bad_sockets(subject: str, sockets: tuple[SocketFacts, ...], user: str) -> Iterator[Finding]:
    for facts in sockets:
        if not facts.socket:
            text = f"{facts.path} is no socket"
            yield Finding(subject, "socket", Level.WARNING, text)
        elif not facts.usable:
            text = f"{facts.path} may not be opened by {user}"
            mend = mending.access(facts.path, user)
            yield Finding(subject, "socket", Level.CRITICAL, text, mend)


def libvirt_findings(facts: LibvirtFacts, user: str) -> list[Finding]:
    """Return what is found of libvirt, to be talked to by `user`."""
    subject = f"libvirt {facts.uri}"
    if facts.has_module:
        text = f"{facts.python} has it"
        found = [Finding(subject, "libvirt_python", Level.OK, text)]
    else:
        text = f"{facts.python} has no module libvirt, by which libvirt is talked to"
        mend = "apt install python3-libvirt    # or: dnf install python3-libvirt"
        found = [Finding(subject, "libvirt_python", Level.CRITICAL, text, mend)]
    return [*found, *_daemon(subject, facts, user)]


def _daemon(subject: str, facts: LibvirtFacts, user: str) -> Iterator[Finding]:
    if not facts.sockets:
        return
    there = [socket for socket in facts.sockets if socket.socket]
    if not there:
        places = " nor ".join(socket.path for socket in facts.sockets)
        text = f"nobody listens on {places}"
        mend = (
            "systemctl enable --now libvirtd.socket    # or, where there is one: virtqemud.socket"
        )
        yield Finding(subject, "libvirt_daemon", Level.CRITICAL, text, mend)
        return
    usable = [socket for socket in there if socket.usable]
    if usable:
        yield Finding(subject, "libvirt_daemon", Level.OK, f"it listens on {usable[0].path}")
        return
    path, group = there[0].path, there[0].group
    text = f"{path} may not be opened by {user}"
    mend = f"usermod -aG {group or 'libvirt'} {user}    # and log in, or start the manager, again"
    yield Finding(subject, "libvirt_group", Level.CRITICAL, text, mend)
