"""Finding kernel modules for laboratory guests, in the order of loading. Reads directories.

What a module depends on is read from the module itself, since `modules.dep` is only made where a
kernel is installed, and the guests' kernels are only unpacked.
"""

import lzma
import re
from pathlib import Path

from aerostat.errors import MissingError

_DEPENDS = re.compile(rb"\0depends=([\w,-]*)\0")


def find_modules(directory: Path, *names: str) -> list[Path]:
    """Return the files that loading modules `names` takes, in order.

    `directory` is one of modules, such as /lib/modules/RELEASE. What the kernel has built in is
    left out. Raises `MissingError`.
    """
    files = {_name(path): path for path in directory.rglob("*.ko*")}
    builtin = set(map(_name, map(Path, (directory / "modules.builtin").read_text().splitlines())))
    order: list[Path] = []

    def add(name: str) -> None:
        if name in builtin or files.get(name) in order:
            return
        if name not in files:
            raise MissingError(f"no module {name} in {directory}")
        for needed in _dependencies(read_module(files[name])):
            add(needed)
        order.append(files[name])

    for name in names:
        add(name)
    return order


def read_module(file: Path) -> bytes:
    """Return the module in `file`, unpacked. Raises `MissingError` for an unknown packing."""
    if file.suffix == ".ko":
        return file.read_bytes()
    if file.suffix == ".xz":
        return lzma.decompress(file.read_bytes())
    raise MissingError(f"cannot unpack {file}")


def _dependencies(module: bytes) -> list[str]:
    found = _DEPENDS.search(module)
    if found is None:
        return []
    return [name.replace("-", "_") for name in found[1].decode().split(",") if name]


def _name(path: Path) -> str:
    """Return the name of a module by its file: dashes and underscores are one to the kernel."""
    return path.name.partition(".")[0].replace("-", "_")
