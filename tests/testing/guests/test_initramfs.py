import shutil
import subprocess
from pathlib import Path

import pytest

from aerostat.testing.guests.initramfs import pack

FILES = {"init": b"#!/bin/sh\n", "bin/deep/tool": bytes(range(256)) * 5, "empty": b""}
LINKS = {"bin/sh": "deep/tool"}


def unpack(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Read an archive by the kernel's description of the format: path to (mode, data)."""
    entries: dict[str, tuple[int, bytes]] = {}
    offset = 0
    while True:
        header = archive[offset : offset + 110]
        assert header[:6] == b"070701"
        fields = [int(header[6 + 8 * number : 14 + 8 * number], 16) for number in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[offset + 110 : offset + 110 + name_size]
        assert name.endswith(b"\0")
        offset += -(-(110 + name_size) // 4) * 4
        data = archive[offset : offset + size]
        offset += -(-size // 4) * 4
        path = name[:-1].decode()
        if path == "TRAILER!!!":
            assert offset == len(archive)
            return entries
        entries[path] = (mode, data)


def test_files_links_and_their_directories_are_there() -> None:
    entries = unpack(pack(FILES, LINKS))
    assert entries == {
        "bin": (0o040755, b""),
        "bin/deep": (0o040755, b""),
        **{path: (0o100755, data) for path, data in FILES.items()},
        "bin/sh": (0o120777, b"deep/tool"),
    }


def test_a_directory_comes_before_what_is_in_it() -> None:
    paths = list(unpack(pack(FILES, LINKS)))
    assert paths.index("bin") < paths.index("bin/deep") < paths.index("bin/deep/tool")


@pytest.mark.skipif(not shutil.which("cpio"), reason="compares with cpio, which is not here")
def test_cpio_reads_it(tmp_path: Path) -> None:
    subprocess.run(["cpio", "-idm", "--quiet"], input=pack(FILES, LINKS), cwd=tmp_path, check=True)
    for path, data in FILES.items():
        assert (tmp_path / path).read_bytes() == data
    assert (tmp_path / "bin/sh").readlink() == Path("deep/tool")
