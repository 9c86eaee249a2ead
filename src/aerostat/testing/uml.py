"""User-mode Linux guests: a real Linux kernel and its own virtio_balloon driver, as a process.

Needs Debian's or Ubuntu's package `user-mode-linux`; neither root nor KVM. The guest's root file
system is the host's, read-only, and its PID 1 is `guest_init` on this very Python. Touches
processes, the run directory, and the directory for the memory file.

Never send SIGTERM or SIGINT to a user-mode Linux: it would take its devices apart inside the
signal handler, on whatever task was running. End it by `stop`.
"""

import asyncio
import contextlib
import functools
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aerostat.errors import LinkError, MissingError, PeerError, UsageError
from aerostat.model.workload import Workload
from aerostat.testing import guest_init, places
from aerostat.testing.modules import find_modules
from aerostat.testing.process import LabGuest, LabProcess
from aerostat.units import MIB

GET_IT = "install it with: sudo apt-get install user-mode-linux"
# Below the prefix that the program is installed in.
_MODULE_TREES = ("lib/uml/modules", "lib/modules")
_BALLOON_DEVICE_ID = 5  # virtio 1.2, 5.5.1
_PLAYER = "workload"  # the worker that plays it
_MOST_REQUESTS = 16  # under way at once; a terminal loses what goes beyond its 4096 bytes
_LONGEST_LINE = 1 * MIB  # a reply; bounds what a broken guest makes us keep


def find_kernel() -> Path:
    """Return the user-mode Linux program: $AEROSTAT_UML, or what the distribution installed."""
    wanted = os.environ.get("AEROSTAT_UML", "linux.uml")
    found = shutil.which(wanted)
    if found is None:
        raise MissingError(f"no user-mode Linux here ({wanted}); {GET_IT}")
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


class UmlGuest(LabGuest):
    """One laboratory guest, from `start` to `stop`.

    `size` is the guest's memory in bytes; `device_socket` the vhost-user socket of its balloon
    device (none: a guest without a balloon); `directory` is where its log and its management
    console go, and must have a short path; `memory_directory` is where its memory file goes
    (by default, where there is room). `arguments` are further ones for its kernel.
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
    ) -> None:
        super().__init__(name, directory=directory)
        self.size = size
        self.device_socket = device_socket
        self.memory_directory = memory_directory
        self.arguments = arguments
        self.release = ""
        self._listener: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._turns = asyncio.Semaphore(_MOST_REQUESTS)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def start(self, within: float = 30.0) -> None:
        """Boot, and return when the guest obeys and its balloon driver is loaded.

        Raises `MissingError`, or `LinkError` when it does not come up within `within` seconds.
        """
        kernel = find_kernel()
        modules: list[Path] = []
        if self.device_socket is not None:
            modules = find_modules(modules_directory(kernel), "virtio_balloon")
        ours, theirs = socket.socketpair()
        with theirs:
            await self._launch(kernel, theirs.fileno())
        await self._open_console(ours, _LONGEST_LINE)
        try:
            async with asyncio.timeout(within):
                self.release = (await self._hello())["release"]
                self._listener = asyncio.create_task(self._listen())
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
            kernel,
            *self._kernel_arguments(console),
            *("--", "-I", "-S", _quoted(guest_init.__file__)),
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

    async def _hello(self) -> dict[str, Any]:
        assert self._reader is not None
        line = await self._reader.readline()
        if not line:
            raise LinkError(f"guest {self.name} ended while it booted")
        hello: dict[str, Any] = json.loads(line)["hello"]
        return hello

    async def _listen(self) -> None:
        """Hand each answer to whoever waits for it, until the guest ends."""
        assert self._reader is not None
        with contextlib.suppress(OSError, ValueError):
            while line := await self._reader.readline():
                answer = json.loads(line)
                waiting = self._waiting.get(answer["id"])
                if waiting is None or waiting.done():
                    continue
                if "error" in answer:
                    waiting.set_exception(PeerError(f"guest {self.name}: {answer['error']}"))
                else:
                    waiting.set_result(answer["result"])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LinkError(f"guest {self.name} is gone", retryable=False))

    async def _watch(self) -> None:
        """End the helpers of a guest that died: they hold its console, and `_listen`, open."""
        await self.exited()
        await LabProcess.kill(self)  # the console stays open: there may be an answer in it

    async def command(
        self, do: str, *, worker: str | None = None, within: float = 30.0, **arguments: object
    ) -> Any:
        """Have the guest do something, and return its answer.

        `guest_init` and `guest_workload` (for a `worker`) say what there is. Raises `PeerError`
        where it failed in the guest, `LinkError` where no answer came within `within` seconds.
        """
        if self._writer is None or self._listener is None or self._listener.done():
            raise LinkError(f"guest {self.name} is not running", retryable=False)
        number = next(self._numbers)
        request = {"id": number, "do": do, **arguments} | ({"worker": worker} if worker else {})
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within), self._turns:
                self._writer.write(json.dumps(request).encode() + b"\n")
                return await answer
        except TimeoutError as error:
            raise LinkError(f"guest {self.name} did not {do} within {within} s") from error
        finally:
            del self._waiting[number]

    async def counters(self) -> dict[str, dict[str, int]]:
        """Return the guest's own `vmstat` (as /proc has it) and `meminfo` (in bytes)."""
        answer: dict[str, dict[str, int]] = await self.command("counters")
        return answer

    async def play(self, workload: Workload, *, file: Path | None = None, since: float = 0) -> None:
        """Have a worker play `workload` from its second `since` on; it reads the host's `file`."""
        plan, path = workload.to_dict(), str(file or "")
        await self.command("end_worker", name=_PLAYER)
        await self.command("play", worker=_PLAYER, workload=plan, file=path, since=since)

    async def report(self) -> dict[str, Any]:
        """Return what came of the workload so far (`guest_workload.Player.report` says what).

        Raises `PeerError` where the worker is gone, for one killed for want of memory.
        """
        report: dict[str, Any] = await self.command("report", worker=_PLAYER)
        return report

    async def stop(self, within: float = 5.0) -> None:
        """End the guest: ask it to power off, and kill it after `within` seconds.

        Stop guests before their devices.
        """
        await self._end_by(lambda: self.command("poweroff", within=within), within)

    async def kill(self) -> None:
        """End the guest at once, helpers and all, and remove what it left."""
        await super().kill()
        for task in (self._listener, self._watcher):
            if task is not None:
                await task
        shutil.rmtree(self.directory / self.name, ignore_errors=True)
