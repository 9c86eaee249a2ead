"""Writing an initramfs: files packed as a "newc" cpio archive. Pure, standard library only.

The format is the kernel's, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import stat
from collections.abc import Mapping
from pathlib import PurePosixPath

_END = "TRAILER!!!"


def pack(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """Return an archive of executable `files` (path to contents) and symbolic `links`.

    The directories that they need are made; paths are relative to the root.
    """
    links = links or {}
    directories = {
        parent for path in (*files, *links) for parent in PurePosixPath(path).parents if parent.name
    }
    entries = [(str(path), stat.S_IFDIR | 0o755, b"") for path in sorted(directories)]
    entries += [(path, stat.S_IFREG | 0o755, data) for path, data in files.items()]
    entries += [(path, stat.S_IFLNK | 0o777, to.encode()) for path, to in links.items()]
    packed = [
        _entry(number, path, mode, data) for number, (path, mode, data) in enumerate(entries, 1)
    ]
    return b"".join(packed) + _entry(0, _END, 0, b"")


def _entry(inode: int, path: str, mode: int, data: bytes) -> bytes:
    name = path.encode() + b"\0"
    # Owner and group, mtime, device and rdev numbers and the checksum are zero.
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
