"""PID 1 of a laboratory guest: mounts what is needed, then obeys the laboratory.

Runs inside user-mode Linux, as `init`, on the host's own interpreter; the root file system is
the host's, read-only. Standard library only. What needs much memory is done in worker processes
(`workload`), so that the kernel's OOM killer has somebody else to kill.

The laboratory writes one JSON object a line to the second console, ``{"id", "do", ...}``, and
reads ``{"id", "result"}`` or ``{"id", "error"}``; kernel messages go to the first console. A
request with a ``worker`` is passed on to the worker process of that name and answered when it has
done it, so that a worker that waits for memory keeps nobody else waiting. When the console's
other end closes, the laboratory is gone, and the guest powers off.
"""

import contextlib
import ctypes
import errno
import json
import os
import selectors
import signal
import socket
import sys
import termios
import time
import tty
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":  # run by path, isolated: the package has to be found first
    sys.path.append(str(Path(__file__).resolve().parents[4]))

from aerostat.testing.guests.inside.workload import Worker

CONSOLE = "/dev/tty1"
# Below /dev, which is the guest's own: a mount point elsewhere would hide a directory of the host.
STORE = "/dev/store"

_NR_INIT_MODULE = 175  # x86-64, the only 64-bit architecture of user-mode Linux
_POWER_OFF = 0x4321FEDC  # LINUX_REBOOT_CMD_POWER_OFF
_SYSLOG_READ_ALL = 3  # syslog(2)
_LARGEST_LOG = 1 << 19  # answers are bounded
_KILL_ME_FIRST = "1000"  # the highest oom_score_adj

_libc = ctypes.CDLL(None, use_errno=True)

Request = dict[str, Any]


def main() -> NoReturn:
    """Set the guest up and serve the laboratory until it goes."""
    # Anywhere else, what follows would do harm.
    if os.getpid() != 1:
        raise SystemExit("this is PID 1 of a laboratory guest; it does nothing elsewhere")
    mount("proc", "/proc")
    if not any("User Mode Linux" in line for line in _lines("/proc/cpuinfo")):
        raise SystemExit("this runs in user-mode Linux only")
    mount("sysfs", "/sys")
    mount("devtmpfs", "/dev")
    Path(STORE).mkdir()
    mount("tmpfs", STORE, "size=100%")
    console = os.open(CONSOLE, os.O_RDWR)
    tty.setraw(console)
    init = Init(console)
    init.write({"hello": status()})
    init.serve()
    power_off()


def mount(kind: str, place: str, options: str = "") -> None:
    """Mount a file system of the kernel's own; one that is there already is fine."""
    if _libc.mount(kind.encode(), place.encode(), kind.encode(), 0, options.encode()):
        number = ctypes.get_errno()
        if number != errno.EBUSY:
            raise OSError(number, os.strerror(number), place)


def power_off() -> NoReturn:
    """End the guest."""
    _libc.reboot(_POWER_OFF)
    raise SystemExit  # PID 1 may not end: were the call to fail, the kernel would panic, and end


def load_module(path: str) -> None:
    """Load the kernel module in the file `path` of the host; loaded already is fine."""
    image = Path(path).read_bytes()
    if path.endswith(".xz"):
        import lzma

        image = lzma.decompress(image)
    if _libc.syscall(_NR_INIT_MODULE, image, ctypes.c_ulong(len(image)), b""):
        number = ctypes.get_errno()
        if number != errno.EEXIST:
            raise OSError(number, os.strerror(number), path)


def swap_on(path: str) -> None:
    """Swap to the block device at `path`."""
    if _libc.swapon(path.encode(), 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def kernel_log() -> str:
    """Return what the kernel has said, at any level."""
    text = ctypes.create_string_buffer(_LARGEST_LOG)
    length = _libc.klogctl(_SYSLOG_READ_ALL, text, len(text))
    if length < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return text.raw[:length].decode("utf-8", "replace")


def status() -> Mapping[str, object]:
    """Return the kernel's release, seconds since it started, and its virtio devices' drivers."""
    return {
        "release": os.uname().release,
        "uptime": time.clock_gettime(time.CLOCK_BOOTTIME),
        "drivers": {
            device.name: (device / "driver").resolve().name
            for device in Path("/sys/bus/virtio/devices").iterdir()
            if (device / "driver").exists()
        },
    }


def read_counters() -> dict[str, dict[str, int]]:
    """Return /proc/vmstat as it is and /proc/meminfo in bytes."""
    vmstat = {}
    for line in _lines("/proc/vmstat"):
        name, value = line.split()
        vmstat[name] = int(value)
    meminfo = {}
    for line in _lines("/proc/meminfo"):
        name, value, *unit = line.split()
        meminfo[name.rstrip(":")] = int(value) * (1024 if unit else 1)
    return {"vmstat": vmstat, "meminfo": meminfo}


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="ascii").splitlines()


class _Lines:
    """JSON objects, one a line, in the bytes that come from a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._partial = b""

    def read(self) -> list[Request] | None:
        """Return the objects that have come, or None when the other end has closed."""
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # a console that was hung up
            data = b""
        if not data:
            return None
        *lines, self._partial = (self._partial + data).split(b"\n")
        return [json.loads(line) for line in lines if line]


class _WorkerLink:
    """Init's end of a worker process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: set[int] = set()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _be_worker(theirs)
        theirs.close()
        self.socket = ours
        self.lines = _Lines(ours.fileno())

    def send(self, request: Request) -> None:
        self.waiting.add(request["id"])
        # A worker that the kernel has killed just now does not read this; `Init` will find it dead,
        # and answer for it.
        with contextlib.suppress(BrokenPipeError):
            self.socket.sendall(json.dumps(request).encode() + b"\n")

    def close(self) -> str:
        """Reap the process, and say how it ended."""
        self.socket.close()
        _, ended = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(ended)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return f"worker {self.name} was {how}" if code < 0 else f"worker {self.name} {how}"


def _be_worker(link: socket.socket) -> NoReturn:
    """Obey init in this newly forked process; never return."""
    code = 1
    try:
        Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST)
        Worker(link, STORE).serve()
        code = 0
    finally:
        os._exit(code)


class Init:
    """Reads requests from the console and answers them, or has a worker answer them."""

    def __init__(self, console: int) -> None:
        self._console = _Lines(console)
        self._workers: dict[str, _WorkerLink] = {}
        # How workers ended by themselves. One of the same name would know nothing of what the
        # first was told, so the name is only given again after an `end_worker`.
        self._ended: dict[str, str] = {}
        self._selector = selectors.DefaultSelector()
        self._commands: dict[str, Callable[..., object]] = {
            "ping": status,
            "counters": read_counters,
            "kernel_log": kernel_log,
            "load_module": load_module,
            "swap_on": swap_on,
            "end_worker": self._end_worker,
        }

    def write(self, message: Mapping[str, object]) -> None:
        """Write `message` to the laboratory, whole."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            data = data[os.write(self._console.descriptor, data) :]

    def serve(self) -> None:
        """Serve until the laboratory is gone or says `poweroff`."""
        self._selector.register(self._console.descriptor, selectors.EVENT_READ, self._console)
        while True:
            for key, _ in self._selector.select():
                source = key.data
                if isinstance(source, _WorkerLink):
                    # One that was ended by a request of this very round is gone already.
                    if self._workers.get(source.name) is source:
                        self._pass_back(source)
                elif not self._obey():
                    return

    def _obey(self) -> bool:
        requests = self._console.read()
        if requests is None:
            return False
        for request in requests:
            if request["do"] == "poweroff":
                self.write({"id": request["id"], "result": None})
                termios.tcdrain(self._console.descriptor)
                return False
            if "worker" in request:
                self._pass_on(request)
            else:
                self._answer(request)
        return True

    def _answer(self, request: Request) -> None:
        number, name = request.pop("id"), request.pop("do")
        try:
            answer = {"id": number, "result": self._commands[name](**request)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the laboratory is told
            answer = {"id": number, "error": f"{name}: {error!r}"}
        self.write(answer)

    def _pass_on(self, request: Request) -> None:
        name = request.pop("worker")
        if name in self._ended:
            self.write({"id": request["id"], "error": self._ended[name]})
            return
        link = self._workers.get(name)
        if link is None:
            try:
                link = self._workers[name] = _WorkerLink(name)
            except OSError as error:  # there may be no memory for a process
                self.write({"id": request["id"], "error": f"no worker {name}: {error}"})
                return
            self._selector.register(link.socket, selectors.EVENT_READ, link)
        link.send(request)

    def _pass_back(self, link: _WorkerLink) -> None:
        answers = link.lines.read()
        if answers is None:
            self._bury(link)
            return
        for answer in answers:
            link.waiting.discard(answer["id"])
            self.write(answer)

    def _bury(self, link: _WorkerLink) -> None:
        self._selector.unregister(link.socket)
        self._workers.pop(link.name, None)
        how = self._ended[link.name] = link.close()
        for number in link.waiting:
            self.write({"id": number, "error": how})

    def _end_worker(self, name: str) -> None:
        """End a worker, if it runs, and with it free all that it held."""
        link = self._workers.get(name)
        if link is not None:
            os.kill(link.pid, signal.SIGKILL)
            self._bury(link)
        self._ended.pop(name, None)


if __name__ == "__main__":
    main()
