"""User-mode Linux guests: a real Linux kernel and its own virtio_balloon driver, as a process.

Needs Debian's or Ubuntu's package `user-mode-linux`; neither root nor KVM. The guest's root file
system is the host's, read-only, and its PID 1 is `inside.init` on this very Python. Touches
processes, the run directory, and the directory for the memory file.

Never send SIGTERM or SIGINT to a user-mode Linux: it would take its devices apart inside the
signal handler, on whatever task was running. End it by `stop`.
"""

import asyncio
import functools
import itertools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from aerostat.errors import LinkError, MissingError, PeerError, UsageError
from aerostat.testing.guests.console import Commanded, Console
from aerostat.testing.guests.inside import init
from aerostat.testing.guests.modules import find_modules
from aerostat.testing.guests.xstate import command_prefix
from aerostat.testing.processes import places
from aerostat.testing.processes.process import LabProcess
from aerostat.units import MIB

GET_IT = "install it with: sudo apt-get install user-mode-linux"
# Below the prefix that the program is installed in.
_MODULE_TREES = ("lib/uml/modules", "lib/modules")
_BALLOON_DEVICE_ID = 5  # virtio 1.2, 5.5.1


def find_kernel() -> Path:
    """Return the user-mode Linux program: $AEROSTAT_UML, or what the distribution installed.

    Raises `MissingError` where there is none, or none that can run on this processor.
    """
    wanted = os.environ.get("AEROSTAT_UML", "linux.uml")
    found = shutil.which(wanted)
    if found is None:
        raise MissingError(f"no user-mode Linux here ({wanted}); {GET_IT}")
    command_prefix()
    return Path(found)


@functools.cache
def kernel_release(kernel: Path) -> str:
    """Return the release of a user-mode Linux program, such as ``6.1.176``."""
    answer = subprocess.run([kernel, "--version"], capture_output=True, check=True, timeout=10)
    return answer.stdout.decode().strip()


def modules_directory(kernel: Path) -> Path:
    """Return where the modules of a user-mode Linux program are. Raises `MissingError`."""
    release = kernel_release(kernel)
    prefixes = (kernel.resolve().parents[1], Path("/usr"), Path("/"))
    for prefix, tree in itertools.product(prefixes, _MODULE_TREES):
        if (directory := prefix / tree / release).is_dir():
            return directory
    raise MissingError(f"no modules for the user-mode Linux {release}; {GET_IT}")


def base_interpreter() -> Path:
    """Return the Python outside any virtual environment, which a guest can run by itself."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    inside = Path(sys.base_prefix, "bin", version)
    return inside if inside.exists() else Path(sys.executable).resolve()


def _quoted(path: str | Path) -> str:
    """Return `path` as a kernel's command line takes it: a space in it ends no argument."""
    if '"' in str(path):
        raise UsageError(f"a kernel's command line cannot hold the quotation mark of {path}")
    return f'"{path}"' if " " in str(path) else str(path)


class UmlGuest(Commanded, LabProcess):
    """One laboratory guest, from `start` to `stop`.

    `size` is the guest's memory in bytes; `device_socket` the vhost-user socket of its balloon
    device (none: a guest without a balloon); `directory` is where its log and its management
    console go, and must have a short path; `memory_directory` is where its memory file goes
    (by default, where there is room). `arguments` are further ones for its kernel, which is
    `kernel`, or the usual one.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        directory: Path,
        device_socket: Path | None = None,
        memory_directory: Path | None = None,
        arguments: Sequence[str] = (),
        kernel: Path | None = None,
    ) -> None:
        super().__init__(name, directory=directory)
        self.size = size
        self.device_socket = device_socket
        self.memory_directory = memory_directory
        self.kernel = kernel
        self.arguments = arguments
        self.release = ""
        self._console = Console(name)
        self._watcher: asyncio.Task[None] | None = None

    async def start(self, within: float = 30.0) -> None:
        """Boot, and return when the guest obeys and its balloon driver is loaded.

        Raises `MissingError`, or `LinkError` when it does not come up within `within` seconds.
        """
        kernel = self.kernel or find_kernel()
        modules: list[Path] = []
        if self.device_socket is not None:
            modules = find_modules(modules_directory(kernel), "virtio_balloon")
        ours, theirs = socket.socketpair()
        with theirs:
            await self._launch(kernel, theirs.fileno())
        try:
            async with asyncio.timeout(within):
                self.release = (await self._console.open(ours))["release"]
                self._watcher = asyncio.create_task(self._watch())
                if self.device_socket is not None:
                    await self._load_driver(modules)
        except (TimeoutError, LinkError, PeerError) as error:
            await self.kill()
            why = f"{error}; {self.last_words()}"
            raise LinkError(f"guest {self.name} did not come up: {why}") from error

    async def _load_driver(self, modules: Sequence[Path]) -> None:
        for module in modules:
            await self.command("load_module", path=str(module))
        if "virtio_balloon" not in (await self.command("ping"))["drivers"].values():
            raise LinkError(f"no balloon at {self.device_socket}")

    async def _launch(self, kernel: Path, console: int) -> None:
        memory = self.memory_directory or places.memory_directory(self.size)
        await self._spawn(
            *command_prefix(),
            kernel,
            *self._kernel_arguments(console),
            *("--", "-I", "-S", _quoted(init.__file__)),
            descriptors=[console],
            environment={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": "/",
                "TMPDIR": str(memory),
            },
        )

    def _kernel_arguments(self, console: int) -> list[str]:
        balloon = []
        if self.device_socket is not None:
            balloon = [f"virtio_uml.device={self.device_socket}:{_BALLOON_DEVICE_ID}"]
        return [
            f"mem={self.size // MIB}M",
            *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
            f"init={_quoted(base_interpreter())}",
            *("con0=null,fd:1", f"con1=fd:{console}", "con=null", "quiet"),
            *(f"uml_dir={self.directory}", f"umid={self.name}"),
            *balloon,
            *self.arguments,
        ]

    async def _watch(self) -> None:
        """End the helpers of a guest that died: they hold its console open."""
        await self.exited()
        await super().kill()  # the console stays open: there may be an answer in it

    async def stop(self, within: float = 5.0) -> None:
        """End the guest: ask it to power off, and kill it after `within` seconds.

        Stop guests before their devices.
        """
        await self._end_by(lambda: self.command("poweroff", within=within), within)

    async def kill(self) -> None:
        """End the guest at once, helpers and all, and remove what it left."""
        await super().kill()
        await self._console.close()
        if self._watcher is not None:
            await self._watcher
        shutil.rmtree(self.directory / self.name, ignore_errors=True)
