"""QEMU guests with Python inside, on QEMU's own balloon: where the driver of `aerostat.guest` runs.

A `PythonGuest` is a `QemuGuest` whose initramfs also has a Python, its standard library and its
shared libraries: this very Python, or another that was unpacked (`GuestPython.unpacked`). It is up
in three or four seconds when emulated, and its files take 25 MiB of the guest's memory. In a test::

    guest = PythonGuest("one", size=512 * MIB, directory=run_directory,
                        balloon="deflate-on-oom=off,disable-modern=on",
                        files=package_files())         # aerostat itself, for `python3 -m aerostat…`
    await guest.start()                                # the kernel's balloon driver is loaded
    ran = await guest.run("python3 -c 'print(6 * 7)'") # ran.status == 0, ran.output == "42"
    pid = await guest.begin("python3 -m aerostat.guest …")
    await guest.output(pid), await guest.signal(pid, "KILL"), await guest.ended(pid)
    await guest.put("/tmp/aerostat.pyz", data)         # also while it runs; `files` is faster
    await guest.read("/proc/vmstat")

What QEMU says of the balloon is had over `guest.control`, its QMP socket
(`control_client.ControlClient`). Huge pages are to be had at once with
``arguments=["hugepages=4"]``, or later with ``guest.command("huge", 4)``.

Needs what `qemu` needs; touches processes, the run directory, and a cache beside the laboratory's
parts: the Python is packed once.
"""

import contextlib
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aerostat
from aerostat.errors import MissingError
from aerostat.testing.guests import initramfs
from aerostat.testing.guests.qemu import Parts, QemuGuest
from aerostat.testing.guests.uml import base_interpreter

# Below the package: what keeps to Python 3.9 and the standard library.
_IN_GUESTS = (
    *("__init__.py", "errors.py", "units.py", "guest/*.py", "virtio/*.py"),
    *("balloon/__init__.py", "balloon/abi.py", "balloon/driver*.py", "balloon/statistics.py"),
)

# What plays workloads there (`inside.play`).
_PLAYER = (
    *("__init__.py", "model/__init__.py", "model/workload.py"),
    *("testing/__init__.py", "testing/guests/__init__.py", "testing/guests/inside/__init__.py"),
    *("testing/guests/inside/workload.py", "testing/guests/inside/play.py"),
)

#: Where `package_files` puts the package: on the Python path of what is run in the guest.
PACKAGE = "opt/aerostat"

_LOADER = "lib64/ld-linux-x86-64.so.2"
# Large, or of no use in a guest without a screen, a network or a compiler.
_LEFT_OUT = {
    *("__pycache__", "dist-packages", "distutils", "ensurepip", "idlelib", "lib2to3"),
    *("pydoc_data", "site-packages", "sqlite3", "test", "tests", "tkinter", "turtledemo"),
}
# Modules that come with large libraries of their own.
_EXTENSIONS_LEFT_OUT = (
    *("_codecs_", "_curses", "_dbm", "_gdbm", "_hashlib", "_sqlite3", "_ssl", "_test", "_tkinter"),
    *("_xxtest", "audioop", "nis", "ossaudiodev", "readline", "xx"),
)
# Loaded by name while a program runs: at a thread's end, and for its memory barriers.
_LOADED_BY_NAME = ("libgcc_s.so.1", "libatomic.so.1")
# Compiled ahead, without the source: what is compiled when it is first imported costs seconds.
_COMPILE = """\
import os, py_compile, sys
source, target = sys.argv[1:]
for name in sys.stdin.read().splitlines():
    compiled = os.path.join(target, name + "c")
    os.makedirs(os.path.dirname(compiled), exist_ok=True)
    py_compile.compile(os.path.join(source, name), compiled, name, doraise=True)
"""


@dataclass(frozen=True)
class GuestPython:
    """A Python that guests take with them.

    `program` is the interpreter, `library` its standard library; `root` is the root of the system
    that both belong to, with their shared libraries.
    """

    program: Path
    library: Path
    root: Path = Path("/")

    @classmethod
    def here(cls) -> "GuestPython":
        """Return the distribution's Python, or the one that this runs on where there is none."""
        with contextlib.suppress(MissingError):
            return cls.unpacked(Path("/"))
        return cls(base_interpreter(), Path(os.__file__).parent)

    @classmethod
    def unpacked(cls, root: Path) -> "GuestPython":
        """Return the Python of the system whose root is `root`. Raises `MissingError`."""
        for library in sorted(root.glob("usr/lib/python3.*")):
            program = root / "usr/bin" / library.name
            if program.exists() and (library / "lib-dynload").is_dir():
                return cls(program, library, root)
        raise MissingError(f"no Python in {root}; get it with: make lab-newest")

    @property
    def version(self) -> str:
        """Its version, such as ``3.11``."""
        return self.library.name.removeprefix("python")

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """Return the command that runs this Python here: by the loader of its own system."""
        if self.root == Path("/"):
            return [self.program, *arguments]
        return [*self._loader(), self.program, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The environment that `command` needs."""
        home = {} if self.root == Path("/") else {"PYTHONHOME": str(self.root / "usr")}
        return {**os.environ, **home}

    def archive(self, cache: Path) -> bytes:
        """Return an initramfs of this Python, which `cache` keeps for the next time."""
        packed = cache / f"python{self.version}-{self._fingerprint()}.cpio"
        if not packed.exists():
            cache.mkdir(parents=True, exist_ok=True)
            for old in cache.glob(f"python{self.version}-*.cpio"):
                old.unlink(missing_ok=True)
            # Another test may do the same at the same time.
            with tempfile.TemporaryDirectory(dir=cache) as place:
                whole = Path(place, "whole")
                whole.write_bytes(initramfs.pack(self._files(), self._links()))
                whole.rename(packed)
        return packed.read_bytes()

    def _fingerprint(self) -> str:
        """Return what changes with any of the files, and with this module."""
        known = hashlib.sha256(Path(__file__).read_bytes())
        for file in (self.program, *self._sources(), *self._extensions()):
            status = file.stat()
            known.update(f"{file} {status.st_size} {status.st_mtime_ns}\n".encode())
        return known.hexdigest()[:16]

    def _links(self) -> dict[str, str]:
        return {f"usr/bin/python{self.version}": "python3", "usr/bin/python": "python3"}

    def compiled(self, sources: Sequence[Path], parent: Path) -> dict[str, bytes]:
        """Return modules that this Python can import, by their paths from `parent`."""
        names = "\n".join(str(file.relative_to(parent)) for file in sources)
        with tempfile.TemporaryDirectory() as place:
            command = self.command("-S", "-c", _COMPILE, parent, place)
            subprocess.run(command, input=names, text=True, check=True, env=self.environment)
            return {
                str(file.relative_to(place)): file.read_bytes()
                for file in sorted(Path(place).rglob("*.pyc"))
            }

    def _files(self) -> dict[str, bytes]:
        parent = self.library.parent
        modules = self.compiled(self._sources(), parent)
        extensions = {str(file.relative_to(parent)): file for file in self._extensions()}
        programs = (self.program, *extensions.values())
        files = {
            "usr/bin/python3": self.program,
            _LOADER: self._in_root(_LOADER),
            **{f"lib/{name}": file for name, file in self._libraries(programs).items()},
            **{f"usr/lib/{name}": file for name, file in extensions.items()},
        }
        return {path: file.read_bytes() for path, file in files.items()} | {
            f"usr/lib/{name}": module for name, module in modules.items()
        }

    def _sources(self) -> list[Path]:
        return [
            file
            for file in sorted(self.library.rglob("*.py"))
            if file.is_file()  # and no link to what is not there
            and not any(
                part in _LEFT_OUT or part.startswith("config-")
                for part in file.relative_to(self.library).parts
            )
        ]

    def _extensions(self) -> list[Path]:
        return [
            file
            for file in sorted(self.library.glob("lib-dynload/*.so"))
            if not file.name.startswith(_EXTENSIONS_LEFT_OUT)
        ]

    def _libraries(self, programs: Sequence[Path]) -> dict[str, Path]:
        """Return the shared libraries of `programs`, and some more, by name."""
        found: dict[str, Path] = {}
        for program in programs:
            command = [*self._loader(), "--list", program]
            listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for line in listed.splitlines():
                name, arrow, rest = line.strip().partition(" => ")
                if arrow and "/" not in name and name not in found:
                    found[name] = Path(rest.rpartition(" (")[0])
        libc = found["libc.so.6"].parent
        beside = (libc, self._in_root("usr/lib/x86_64-linux-gnu"))
        for name in _LOADED_BY_NAME:
            for directory in beside:
                if (directory / name).exists():
                    found.setdefault(name, directory / name)
        return found

    def _loader(self) -> list[str | Path]:
        loader: list[str | Path] = [self._in_root(_LOADER)]
        if self.root != Path("/"):
            paths = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
            loader += ["--library-path", ":".join(str(self._in_root(path)) for path in paths)]
        return loader

    def _in_root(self, path: str) -> Path:
        """Return where `path` of its system is: its links may name places of that system."""
        place = self.root / path
        if place.is_symlink() and (to := place.readlink()).is_absolute():
            return self.root / to.relative_to("/")
        return place


def package_files(python: GuestPython | None = None) -> dict[str, bytes]:
    """Return what of this package runs in guests, compiled for `python`; for `PythonGuest`."""
    return _compiled(_IN_GUESTS, python)


def player_files(python: GuestPython | None = None) -> dict[str, bytes]:
    """Return what plays workloads in a guest (`inside.play`), as `package_files` does."""
    return _compiled(_PLAYER, python)


def _compiled(patterns: Sequence[str], python: GuestPython | None) -> dict[str, bytes]:
    package = Path(aerostat.__file__).parent
    sources = [file for pattern in patterns for file in sorted(package.glob(pattern))]
    modules = (python or GuestPython.here()).compiled(sources, package.parent)
    return {f"{PACKAGE}/{name}": module for name, module in modules.items()}


class PythonGuest(QemuGuest):
    """One QEMU guest with Python inside, from `start` to `stop`.

    `python` is the Python that it takes, the distribution's by default; `files` are further files
    for it, by path from the root. The others, and `how`, are as for `QemuGuest`.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        directory: Path,
        python: GuestPython | None = None,
        files: Mapping[str, bytes] | None = None,
        **how: Any,
    ) -> None:
        super().__init__(name, size=size, directory=directory, **how)
        self.python = python or GuestPython.here()
        self.files = dict(files or {})

    def _initramfs(self, parts: Parts) -> bytes:
        # The kernel takes several archives, one after the other, for one.
        cache = parts.directory / "cache"
        return super()._initramfs(parts) + self.python.archive(cache) + initramfs.pack(self.files)
