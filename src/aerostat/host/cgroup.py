"""A cgroup of version 2 with the memory controller (Linux `cgroup-v2.rst`).

Reads its files. Writes `memory.high`, and a mark on the group that says what stood there, only in
`set_backstop` and `restore`.
"""

import contextlib
import os
import re
from pathlib import Path, PurePath
from typing import NamedTuple, Self

from aerostat.errors import MissingError, UsageError
from aerostat.host.mounts import MOUNTINFO, read_cgroup_mounts
from aerostat.host.pressure import Pressure, read_pressure
from aerostat.host.proc import read_small

# An extended attribute lives exactly as long as its group, and longer than a killed manager. So
# the next one knows which limit is the operator's, and which was ours.
_MARK = "user.aerostat.memory_high"
_SIZE = re.compile(r"([0-9]{1,19})\n?")
_OWN = re.compile(r"^0::(/.*)$", re.MULTILINE)
_STAT = re.compile(r"^(inactive_file|active_file|slab_reclaimable) ([0-9]{1,19})$", re.MULTILINE)
_NO_LIMIT = "max"
_REMEDY = "; boot it with systemd.unified_cgroup_hierarchy=1"


class CgroupMemory(NamedTuple):
    """A cgroup at one moment, in bytes."""

    current: int
    """What its processes and its kernel memory hold, page cache included."""
    reclaimable: int
    """The part of it that can be dropped: page cache and caches of the kernel."""
    swapped: int
    high: int | None
    """Above it its processes are slowed down and reclaimed from; None is no limit."""
    max: int | None
    """Above it its processes are killed; None is no limit."""

    @property
    def limit(self) -> int | None:
        """The lower of the two limits; None if there is none."""
        return min((limit for limit in (self.high, self.max) if limit is not None), default=None)

    @property
    def held(self) -> int:
        """What its processes hold and cannot just drop: a guest's, if the group is its own."""
        return self.current - self.reclaimable


class Cgroup:
    """One cgroup: by `path` in its file system (``/sys/fs/cgroup/machine.slice``)."""

    __slots__ = ("_before", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before: str | None = None  # where the group cannot be marked

    @classmethod
    def find(cls, name: str, mountinfo: Path = MOUNTINFO, *, now: bool = True) -> Self:
        """Return the cgroup called `name`, such as ``machine.slice``, or with this whole path.

        Raises `MissingError` where the host cannot have it or it tells no memory, and `UsageError`
        for what cannot be a name. Unless it has to be there `now` it may come later: systemd makes
        a slice with its first guest, and removes it with the last.
        """
        mounts = read_cgroup_mounts(mountinfo)
        if mounts.version2 is None:
            raise MissingError(f"{name}: this host has no cgroups of version 2{_REMEDY}")
        parts = PurePath(name).parts
        if not parts or ".." in parts or "\0" in name:
            raise UsageError(f"not the name of a cgroup: {name!r}")
        whole = PurePath(name).is_relative_to(mounts.version2)
        group = cls(Path(name) if whole else mounts.version2.joinpath(name.lstrip("/")))
        if group.there:
            return group
        if mounts.memory_version1 is not None:
            where = f"{mounts.memory_version1} (version 1)"
            raise MissingError(f"{name}: this host counts memory in {where}{_REMEDY}")
        if not group.path.is_dir():
            if not now:
                return group
            raise MissingError(f"{group.path}: there is no such cgroup")
        raise MissingError(
            f"{group.path}: tells no memory; only the groups below the first do, and only "
            "with +memory in their parents' cgroup.subtree_control"
        )

    def read(self) -> CgroupMemory:
        """Read the group now. Raises `MissingError` where it is gone."""
        try:
            current = _parse_size(read_small(self.path / "memory.current"))
            stat = read_small(self.path / "memory.stat")
        except OSError as error:
            raise MissingError(f"{self.path}: cannot be read ({error.strerror})") from error
        if current is None:
            raise MissingError(f"{self.path}: memory.current is no size")
        reclaimable = sum(int(size) for _, size in _STAT.findall(stat))
        marked = self._mark()
        return CgroupMemory(
            current=current,
            reclaimable=min(reclaimable, current),
            swapped=self._size("memory.swap.current") or 0,
            high=self._size("memory.high") if marked is None else _parse_size(marked),
            max=self._size("memory.max"),
        )

    @property
    def there(self) -> bool:
        """Whether the group is there now."""
        return (self.path / "memory.current").exists()

    def processes(self) -> set[int]:
        """Return the processes of the group itself; none where they cannot be read."""
        try:
            return {int(pid) for pid in read_small(self.path / "cgroup.procs").split()}
        except (OSError, ValueError):
            return set()

    def pressure(self) -> Pressure | None:
        """Read the memory pressure of the group; None where the kernel does not tell it."""
        return read_pressure(self.path / "memory.pressure")

    @property
    def backstop(self) -> int | None:
        """Return what `memory.high` is now if we have set it; None if we have not."""
        return None if self._mark() is None else self._size("memory.high")

    def set_backstop(self, size: int) -> None:
        """Set `memory.high` to `size` bytes, and remember what it was. Raises `MissingError`.

        Above it the kernel slows the group's processes down and takes memory from them, so that
        the rest of the host is spared. `read` still tells the limit that was there before.
        """
        high = self.path / "memory.high"
        try:
            if self._mark() is None:
                self._remember(read_small(high).strip())
            high.write_text(f"{size}\n")
        except OSError as error:
            raise MissingError(f"{high}: cannot be set ({error.strerror})") from error

    def restore(self) -> None:
        """Put back the `memory.high` that was there before the first `set_backstop`."""
        before = self._mark()
        if before is None:
            return
        with contextlib.suppress(OSError):  # the group may be gone, and its limit with it
            (self.path / "memory.high").write_text(f"{before}\n")
            self._before = None
            os.removexattr(self.path, _MARK)

    def _remember(self, limit: str) -> None:
        """Note the operator's limit on the group; before Linux 5.7 groups have no marks."""
        try:
            os.setxattr(self.path, _MARK, limit.encode())
        except OSError:
            self._before = limit

    def _mark(self) -> str | None:
        """Return what `memory.high` was before we set it; None if we did not."""
        try:
            mark = os.getxattr(self.path, _MARK).decode("ascii", "replace")
        except OSError:
            return self._before
        return mark if mark == _NO_LIMIT or _SIZE.fullmatch(mark) else None

    def _size(self, name: str) -> int | None:
        try:
            return _parse_size(read_small(self.path / name))
        except OSError:
            return None


def cgroup_of(pid: int, proc: Path = Path("/proc")) -> Cgroup | None:
    """Return the cgroup that counts the memory of process `pid`; None if there is none.

    The threads of a VMM may be in groups of their own below it, which count no memory.
    """
    root = read_cgroup_mounts(proc / "self/mountinfo").version2
    try:
        place = _OWN.search(read_small(proc / f"{pid}/cgroup"))
    except OSError:
        return None
    if root is None or place is None or ".." in PurePath(place[1]).parts:
        return None
    path = root / place[1].lstrip("/")
    for group in (path, *path.parents):
        if not group.is_relative_to(root):
            break
        if (group / "memory.current").exists():
            return Cgroup(group)
    return None


def _parse_size(text: str) -> int | None:
    """Return the size that a file of a cgroup has; None for ``max``, which is no limit."""
    size = _SIZE.fullmatch(text)
    return int(size[1]) if size else None
