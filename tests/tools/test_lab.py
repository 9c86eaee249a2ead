"""What the laboratory's parts are got with: what of it needs no network."""

import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

LAB = Path(__file__).resolve().parents[2] / "tools" / "lab.py"
LOADER = Path("/lib64/ld-linux-x86-64.so.2")


@pytest.fixture
def lab() -> ModuleType:
    spec = spec_from_file_location("lab", LAB)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not LOADER.exists(), reason="needs a loader to copy, of an x86-64 system")
def test_a_program_runs_with_the_loader_that_it_is_given(tmp_path: Path, lab: ModuleType) -> None:
    program, loader = tmp_path / "true", tmp_path / "directory of its own" / "loader"
    shutil.copy(shutil.which("true") or "", program)
    lab.set_interpreter(program, loader)
    with pytest.raises(FileNotFoundError):  # the loader, that is
        subprocess.run([program], check=True)
    loader.parent.mkdir()
    shutil.copy(LOADER.resolve(), loader)
    subprocess.run([program], check=True)


def test_a_tree_that_was_moved_is_not_complete(tmp_path: Path, lab: ModuleType) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    assert not lab.is_complete(tree)
    lab.complete(tree)
    assert lab.is_complete(tree)
    assert not lab.is_complete(tree.rename(tmp_path / "moved"))
