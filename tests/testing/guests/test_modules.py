import lzma
from pathlib import Path

import pytest

from aerostat.errors import MissingError
from aerostat.testing.guests.modules import find_modules, read_module


def module(depends: str = "") -> bytes:
    return b"\x7fELF..\0license=GPL\0depends=" + depends.encode() + b"\0retpoline=Y\0"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    virtio = tmp_path / "kernel/drivers/virtio"
    virtio.mkdir(parents=True)
    (virtio / "virtio.ko").write_bytes(module())
    (virtio / "virtio-ring.ko").write_bytes(module("virtio"))
    (virtio / "virtio_pci.ko.xz").write_bytes(lzma.compress(module("virtio,virtio-ring")))
    (virtio / "virtio_balloon.ko").write_bytes(module("virtio_ring,virtio,page_pool"))
    (virtio / "lost.ko").write_bytes(module("nowhere"))
    (virtio / "packed.ko.zst").write_bytes(b"?")
    (tmp_path / "modules.builtin").write_text("kernel/mm/page-pool.ko\nkernel/fs/hostfs.ko\n")
    return tmp_path


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_what_a_module_needs_comes_before_it_and_once(tree: Path) -> None:
    assert names(find_modules(tree, "virtio_pci", "virtio_balloon")) == [
        "virtio.ko",
        "virtio-ring.ko",
        "virtio_pci.ko.xz",
        "virtio_balloon.ko",
    ]


def test_what_is_built_in_needs_no_file(tree: Path) -> None:
    assert find_modules(tree, "hostfs") == []


@pytest.mark.parametrize(("wanted", "missing"), [("absent", "absent"), ("lost", "nowhere")])
def test_a_missing_module_is_named(tree: Path, wanted: str, missing: str) -> None:
    with pytest.raises(MissingError, match=f"no module {missing} in"):
        find_modules(tree, wanted)


def test_packed_modules_are_unpacked(tree: Path) -> None:
    packed = tree / "kernel/drivers/virtio/virtio_pci.ko.xz"
    assert read_module(packed) == module("virtio,virtio-ring")
    with pytest.raises(MissingError, match="cannot unpack"):
        find_modules(tree, "packed")
