"""The rules of the house, held: what may import what, how large a room may grow, what stays light.

The rings are core, adapters and faces; an inner one never imports an outer one. The core does no
I/O and reads no clock.
"""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "aerostat"

CORE = {"units", "errors", "virtio", "balloon", "vhost_user", "qmp", "engine", "model"}
ADAPTERS = {"device", "guest", "process_guest", "hypervisors", "host", "daemon", "simulator"}
FACES = {
    "cli", "tui", "demo", "testing", "doctor", "metrics", "replay", "__init__", "__main__",
}  # fmt: skip

STANDARD_LIBRARY_ONLY = (CORE - {"engine", "model"}) | {"device", "guest"}
"""What a device process loads, and what runs inside a guest."""

IN_GUESTS = (
    "__init__.py", "errors.py", "units.py", "virtio/*.py", "guest/*.py",
    "balloon/__init__.py", "balloon/abi.py", "balloon/driver*.py", "balloon/statistics.py",
)  # fmt: skip
ON_THE_DISTRIBUTIONS_PYTHON = ("hypervisors/libvirt/helper.py",)
"""What runs outside of our environment, on the Python that has libvirt's binding."""

OLDEST_PYTHON = (3, 9)
"""Of a guest, and of a distribution."""

KIT: dict[str, set[str]] = {
    "processes": set(),
    "guests": {"processes"},
    "laboratory": {"processes", "guests"},
    "mocks": set(),
    "conformance": {"processes", "guests", "laboratory", "mocks"},
    "check": {"processes", "guests", "laboratory", "mocks", "conformance"},
    "fuzz": {"mocks", "conformance"},
    "trials": {"processes", "guests", "laboratory"},
}
"""The wings of the testing kit, and which others each may import."""

NO_IO = {
    "asyncio", "ctypes", "fcntl", "io", "logging", "mmap", "os", "pathlib", "select", "selectors",
    "shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time",
    "datetime", "random",
}  # fmt: skip
EXCEPTIONS = {
    ("virtio/memory.py", "os"): "asks once for which machine it runs on",
    ("vhost_user/descriptors.py", "os"): "closes the descriptors that it owns",
}

MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    """Return the wing, or the single room, in which a module lies."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all that a module's syntax tree has, the module first."""
    return tuple(ast.walk(ast.parse(path.read_text())))


def imports(path: Path) -> set[str]:
    """Return the absolute names of all that a module imports, wherever in it."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(path: Path) -> set[str]:
    """Return the wings that a module imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("aerostat.")}


def each(rooms: set[str]) -> pytest.MarkDecorator:
    """Run a test for each module of some rooms."""
    modules = [path for path in MODULES if room_of(path) in rooms]
    return pytest.mark.parametrize(
        "path", modules, ids=[str(path.relative_to(SOURCE)) for path in modules]
    )


def test_every_wing_has_its_ring() -> None:
    rooms = {room_of(path) for path in MODULES}

    assert rooms <= CORE | ADAPTERS | FACES


@each(CORE | ADAPTERS | FACES)
def test_an_inner_ring_never_imports_an_outer_one(path: Path) -> None:
    room = room_of(path)
    if room in CORE:
        allowed = CORE
    elif room in ADAPTERS:
        allowed = CORE | ADAPTERS
    else:
        allowed = CORE | ADAPTERS | FACES

    assert ours(path) - {"__version__"} <= allowed


@each(CORE)
def test_the_core_does_no_io_and_reads_no_clock(path: Path) -> None:
    here = str(path.relative_to(SOURCE))
    touched = {name.split(".")[0] for name in imports(path)} & NO_IO

    assert {name for name in touched if (here, name) not in EXCEPTIONS} == set()
    assert not any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
        for node in nodes(path)
    )


def test_no_exception_to_the_rule_is_left_over() -> None:
    for here, name in EXCEPTIONS:
        assert name in {full.split(".")[0] for full in imports(SOURCE / here)}


@each(STANDARD_LIBRARY_ONLY)
def test_a_device_process_needs_the_standard_library_alone(path: Path) -> None:
    outside = {
        name
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("aerostat")
    }

    assert outside == set()
    assert ours(path) - {"__version__"} <= STANDARD_LIBRARY_ONLY


@each(CORE | ADAPTERS | FACES)
def test_a_room_is_not_too_full_and_says_what_it_is(path: Path) -> None:
    (module, *_) = nodes(path)
    assert isinstance(module, ast.Module)

    assert len(path.read_text().splitlines()) <= 400
    assert ast.get_docstring(module) or path.name == "__main__.py"


@pytest.mark.parametrize("wing", KIT)
def test_the_wings_of_the_testing_kit_stand_on_each_other_in_order(wing: str) -> None:
    kit = SOURCE / "testing"
    modules = [*kit.glob(f"{wing}.py"), *kit.glob(f"{wing}/**/*.py")]
    others = {
        name.split(".")[2]
        for path in modules
        for name in imports(path)
        if name.startswith("aerostat.testing.")
    }

    assert modules
    assert others & set(KIT) <= KIT[wing] | {wing}


@pytest.mark.parametrize(
    "package", sorted((SOURCE / "testing").rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_the_testing_kit_says_what_rooms_it_has(package: Path) -> None:
    rooms = {path.stem for path in package.parent.glob("*.py") if path != package}
    rooms |= {path.parent.name for path in package.parent.glob("*/__init__.py")}
    (module, *_) = nodes(package)
    assert isinstance(module, ast.Module)
    named = set(re.findall(r"`(\w+)`", ast.get_docstring(module) or ""))

    assert rooms <= named


def found(patterns: tuple[str, ...]) -> list[Path]:
    """Return the modules that patterns name."""
    return sorted(path for pattern in patterns for path in SOURCE.glob(pattern))


def test_what_runs_elsewhere_needs_no_newer_python_than_there_is() -> None:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    modules = found(IN_GUESTS + ON_THE_DISTRIBUTIONS_PYTHON)
    vermin = "import sys, vermin; sys.exit(vermin.main())"
    command = [sys.executable, "-c", vermin, f"--target={oldest}-", "--no-tips"]
    checked = subprocess.run(
        [*command, "--violations", *modules], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout


def test_what_runs_in_a_guest_imports_nothing_else_of_ours() -> None:
    there = {
        ".".join(("aerostat", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(
            ".__init__"
        )
        for path in found(IN_GUESTS)
    }
    outside = {
        (path.name, name)
        for path in found(IN_GUESTS)
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom)
        for name in [node.module or ""]
        if name.startswith("aerostat") and name not in there
    }

    assert outside == set()


@pytest.mark.parametrize("path", found(ON_THE_DISTRIBUTIONS_PYTHON), ids=lambda path: path.name)
def test_what_runs_on_the_distributions_python_imports_nothing_of_ours(path: Path) -> None:
    assert ours(path) == set()
    assert {name.split(".")[0] for name in imports(path)} - {"libvirt", "libvirt_qemu"} <= set(
        sys.stdlib_module_names
    )


def test_the_package_itself_loads_nothing() -> None:
    script = "import sys; a = set(sys.modules); import aerostat; print(len(set(sys.modules) - a))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "1"


def test_a_device_process_loads_nothing_heavy() -> None:
    script = "import sys, aerostat.device.__main__; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "asyncio", "logging", "dataclasses", "inspect", "argparse", "click", "rich"}

    assert heavy & set(loaded.stdout.split()) == set()
