"""A libvirtd of the laboratory's own, which neither sees nor touches that of the host.

For root it is the system's (``qemu:///system``), in a private mount and network namespace where its
directories are those of the laboratory; for anybody else the user's (``qemu:///session``), whose
directories are named by its environment. The socket is in the run directory, so that clients
outside reach it. Touches processes, the run directory, and namespaces.
"""

import asyncio
import functools
import os
import shutil
import stat
import subprocess
from pathlib import Path

from aerostat.errors import LinkError, MissingError, UsageError
from aerostat.testing.polling import until
from aerostat.testing.processes.process import LabProcess
from aerostat.testing.processes.sessions import Session, daemons

PROGRAM = "libvirtd"
GET_IT = "get it with: make lab-libvirt"
#: The Python that has the distribution's binding for libvirt.
PYTHON = "/usr/bin/python3"

# By our name, what of the system is the laboratory's in the namespace. Whole parents, where
# libvirt's own directory may not be there yet: making it would be seen outside.
_PLACES = {
    "etc": "/etc/libvirt",
    "run": "/run",
    "lib": "/var/lib",
    "cache": "/var/cache",
    "log": "/var/log",
    "passwd": "/etc/passwd",
    "group": "/etc/group",
}
_VARIABLES = {
    "run": "XDG_RUNTIME_DIR",
    "etc": "XDG_CONFIG_HOME",
    "lib": "XDG_DATA_HOME",
    "cache": "XDG_CACHE_HOME",
    "log": "XDG_STATE_HOME",
}
_ENTER = ("unshare", "--mount", "--net")
_MOUNT = "".join(f"mount --bind {ours} {theirs}\n" for ours, theirs in _PLACES.items())
_SCRIPT = f'set -e; cd "$1"\n{_MOUNT}exec "$2" --config "$1/libvirtd.conf"'
# Debian's libvirt wants this user and group to be there, though `qemu.conf` names others; they come
# with a package of what starts libvirt with the machine, which the laboratory has no use for.
_USER = "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n"
_GROUP = "libvirt-qemu:x:64055:\n"

_CONFIG = 'unix_sock_dir = "{directory}"\nauth_unix_ro = "none"\nauth_unix_rw = "none"\n'
# A container has no cgroups to make and no security modules; there is no virtlogd to write logs.
_QEMU_CONFIG = """\
user = "root"
group = "root"
remember_owner = 0
cgroup_controllers = []
security_driver = "none"
namespaces = []
stdio_handler = "file"
"""
_QEMU_CONFIG_OF_USER = "".join(_QEMU_CONFIG.splitlines(keepends=True)[3:])


@functools.cache
def find_program() -> str:
    """Return the libvirtd; see that its clients are here, too, and may be used.

    Raises `MissingError`.
    """
    # Where it is, is not on everybody's path.
    found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path="/usr/sbin:/sbin")
    if found is None or shutil.which("virsh") is None:
        raise MissingError(f"no libvirt here; {GET_IT}")
    if _fails(PYTHON, "-c", "import libvirt"):
        raise MissingError(f"{PYTHON} has no module libvirt; {GET_IT}")
    if os.geteuid() == 0 and _fails(*_ENTER, "true"):
        raise MissingError("root may not make namespaces here; run this as another user")
    return found


def _fails(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode != 0
    except FileNotFoundError:
        return True


class Libvirtd(LabProcess):
    """One libvirtd, from `start` to `stop`; `uri` is how clients reach it.

    `directory` is the run directory; what belongs to this libvirtd goes into `place` there.
    """

    def __init__(self, name: str = "libvirtd", *, directory: Path) -> None:
        super().__init__(name, directory=directory)
        self.place = directory / name
        self.socket = self.place / "libvirt-sock"
        self.is_system = os.geteuid() == 0
        kind = "system" if self.is_system else "session"
        self.uri = f"qemu+unix:///{kind}?socket={self.socket}"

    async def start(self, within: float = 20.0) -> None:
        """Start, and return when it takes connections. Raises `LinkError`, `MissingError`.

        May be called again after `kill`: domains that run are found again.
        """
        program = find_program()
        self._furnish()
        self.socket.unlink(missing_ok=True)
        if self.is_system:
            await self._spawn(*_ENTER, "sh", "-c", _SCRIPT, "sh", self.place, program)
        else:
            await self._spawn(
                *(program, "--config", self.place / "libvirtd.conf"), environment=self._variables()
            )
        try:
            await until(self._is_up, within=within)
        except (TimeoutError, LinkError) as error:
            await self.kill()
            raise LinkError(f"{self.name} did not come up: {self.last_words()}") from error

    async def virsh(self, *arguments: str | os.PathLike[str], within: float = 60.0) -> str:
        """Run a command of virsh's, and return what it says.

        Raises `LinkError` where it fails, or does not end within `within` seconds.
        """
        process = await asyncio.create_subprocess_exec(
            *("virsh", "--quiet", "--connect", self.uri, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(within):
                out, err = await process.communicate()
        except TimeoutError:
            raise LinkError(f"virsh {arguments[0]} did not end within {within} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise LinkError(f"virsh {arguments[0]}: {err.decode().strip()}", retryable=False)
        return out.decode().strip()

    @property
    def run_directory(self) -> Path:
        """Where it writes down the processes of its domains."""
        return self.place / ("run/libvirt/qemu" if self.is_system else "run/libvirt/qemu/run")

    def domains(self) -> list[Session]:
        """Return the sessions of the domains that run, each with one process."""
        return [domain for domain in daemons(self.place) if domain.leader != self.pid]

    async def stop(self, within: float = 10.0) -> None:
        """End all domains, and then libvirtd by SIGTERM; kill it after `within` seconds."""
        await self._end_domains()
        await self._end_by(self._terminate, within)
        await self._end_domains()  # one that it was about to start

    async def _end_domains(self) -> None:
        for domain in self.domains():
            await domain.end()

    def _is_up(self) -> bool:
        if not self.alive:
            raise LinkError(f"{self.name} ended")
        try:
            return stat.S_ISSOCK(self.socket.stat().st_mode)
        except FileNotFoundError:
            return False

    def _furnish(self) -> None:
        """Make what it finds in place of the system's own."""
        hidden = [place for place in _PLACES.values() if self.directory.is_relative_to(place)]
        if self.is_system and hidden:
            raise UsageError(f"libvirtd has a {hidden[0]} of its own; choose TMPDIR=/tmp")
        for ours in _VARIABLES:
            (self.place / ours).mkdir(parents=True, exist_ok=True)
        (self.place / "libvirtd.conf").write_text(_CONFIG.format(directory=self.place))
        if self.is_system:
            (self.place / "etc/qemu.conf").write_text(_QEMU_CONFIG)
            for name, more in (("passwd", _USER), ("group", _GROUP)):
                (self.place / name).write_text(Path(_PLACES[name]).read_text() + more)
        else:
            (self.place / "etc/libvirt").mkdir(exist_ok=True)
            (self.place / "etc/libvirt/qemu.conf").write_text(_QEMU_CONFIG_OF_USER)

    def _variables(self) -> dict[str, str]:
        named = {variable: str(self.place / ours) for ours, variable in _VARIABLES.items()}
        # It would start a bus of its own.
        nowhere = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.place}/no-bus"}
        return {**os.environ, **named, **nowhere}
