"""Make what is copied into guests, in one file each: the driver, or the checks of their balloon.

``python3 aerostat-guest.pyz --help`` runs the one, on Python 3.9 and later, and
``python3 aerostat-check.pyz --help`` the other, on Python 3.11 and later. Each has the modules that
it imports and no others, as source. Made twice, it is the same file byte for byte: sorted,
without times, and not compressed, since what compresses differs from machine to machine.
"""

import argparse
import ast
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"


class Program(NamedTuple):
    """A program in a file: the module whose `main` it runs, and the oldest Python for it."""

    entry: str
    python: tuple[int, int]


PROGRAMS = {
    "guest": Program("aerostat.guest.__main__", (3, 9)),
    "check": Program("aerostat.testing.check.device.in_guest", (3, 11)),
}

_SHEBANG = b"#!/usr/bin/env python3\n"
# Without what an old Python could not even read.
_MAIN = """\
import sys

if sys.version_info < {program.python}:
    sys.exit("this takes Python {program.python[0]}.{program.python[1]} or later, and is run by "
             "%d.%d" % sys.version_info[:2])

from {program.entry} import main

sys.exit(main(sys.argv[1:]))
"""
# The first moment that a zip file can name.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def module_file(name: str) -> Path | None:
    """Return the file of one of our modules or packages, None if it is neither."""
    path = SOURCE.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def imported(file: Path) -> set[str]:
    """Return the names in this package that a module imports; some are no modules."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] == "aerostat"}


def needed(entry: str) -> list[Path]:
    """Return the files of all modules that `entry` imports, and those that these import."""
    files: set[Path] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            file = module_file(".".join(parts[:length]))
            if file and file not in files:
                files.add(file)
                waiting += imported(file)
    return sorted(files)


def make(target: Path, name: str = "guest") -> None:
    """Write the archive of a program to `target`, executable."""
    program = PROGRAMS[name]
    contents = {"__main__.py": _MAIN.format(program=program).encode()}
    contents |= {str(file.relative_to(SOURCE)): file.read_bytes() for file in needed(program.entry)}
    contents["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for path, data in sorted(contents.items()):
                entry = zipfile.ZipInfo(path, _NO_TIME)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, data)
    target.chmod(0o755)


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="?", choices=[*PROGRAMS], default="guest")
    parser.add_argument("target", nargs="?", type=Path, help="build/aerostat-NAME.pyz by default")
    options = parser.parse_args()
    target = options.target or Path(f"build/aerostat-{options.name}.pyz")
    make(target, options.name)
    print(f"{target}: {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
