"""PCI functions in a sysfs of plain files, for tests of what looks for them there.

Touches files below a directory that it is given. Nothing happens when they are written.
"""

from pathlib import Path
from struct import pack

from aerostat.testing.mocks.pci import MULTIPLIER

#: A capability of virtio's: structure, BAR, offset, length.
STRUCTURES = (
    (1, 4, 0x0000, 0x1000),
    (3, 4, 0x1000, 0x1000),
    (4, 4, 0x2000, 0x1000),
    (2, 4, 0x3000, 0x1000),
)


def capability(kind: int, bar: int, offset: int, length: int, following: int) -> bytes:
    """Return a virtio capability, with the multiplier that only one kind of it has a use for."""
    head = pack("<BBBBBxxxII", 9, following, 20, kind, bar, offset, length)
    return head + pack("<I", MULTIPLIER)


def make_function(
    sysfs: Path,
    address: str = "0000:00:04.0",
    *,
    vendor: int = 0x1AF4,
    device: int = 0x1045,
    structures: tuple[tuple[int, int, int, int], ...] = STRUCTURES,
    driver: str = "virtio-pci",
) -> Path:
    """Make a PCI function below `sysfs`, with I/O BAR 0 and memory BAR 4; return its directory.

    MSI-X is on, as a kernel's driver leaves it. Nothing happens when its files are written.
    """
    path = sysfs / "devices" / address
    path.mkdir(parents=True)
    (path / "vendor").write_text(f"{vendor:#06x}\n")
    (path / "device").write_text(f"{device:#06x}\n")
    bars = {0: (0xC000, 0xC03F, 0x40101), 4: (0xFE000000, 0xFE003FFF, 0x14220C)}
    (path / "resource").write_text(
        "".join(
            "{:#018x} {:#018x} {:#018x}\n".format(*bars.get(bar, (0, 0, 0))) for bar in range(7)
        )
    )
    config = bytearray(256)
    config[0x34] = 0x40
    config[0x40:0x4C] = pack("<BBHII", 0x11, 0x50 if structures else 0, 0x8001, 1, 0x801)
    for number, (kind, bar, offset, length) in enumerate(structures):
        place = 0x50 + 20 * number
        following = place + 20 if number + 1 < len(structures) else 0
        config[place : place + 20] = capability(kind, bar, offset, length, following)
    (path / "config").write_bytes(config)
    (path / "resource0").write_bytes(bytes(64))
    (path / "resource4").write_bytes(bytes(0x4000))
    for name in ("enable", "driver_override"):
        (path / name).write_text("")
    (sysfs / "drivers_probe").write_text("")
    if driver:
        home = sysfs / "drivers" / driver
        home.mkdir(parents=True, exist_ok=True)
        (home / "unbind").write_text("")
        (path / "driver").symlink_to(home)
    return path
