"""Drive a vhost-user balloon device with no VM: a guest of 64 MiB that is a memory file.

    .venv/bin/python examples/drive_device.py [SOCKET CONTROL]

Without arguments it starts an aerostat device of its own. Whoever writes a device can plug this
driver into it: it negotiates as a VMM does, and inflates and deflates as Linux does. What a guest
has is up to its kernel, which here is a list of free pages.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.statistics import Tag
from aerostat.device.loop import Loop
from aerostat.process_guest.interface import RESERVED_SIZE, State
from aerostat.process_guest.link import DeviceLink
from aerostat.process_guest.memory import GuestMemoryFile
from aerostat.testing.control_client import ControlClient
from aerostat.units import MIB, format_size

SIZE = 64 * MIB


class Kernel:
    """The least that a guest's kernel can be: it knows which of its pages are free."""

    def __init__(self) -> None:
        self.free = list(range(RESERVED_SIZE // PAGE_SIZE, SIZE // PAGE_SIZE))

    def statistics(self) -> Mapping[int, int]:
        """Return what the driver sends when the host asks."""
        return {Tag.FREE_MEMORY: len(self.free) * PAGE_SIZE, Tag.TOTAL_MEMORY: SIZE}

    def take_pages(self, count: int) -> Sequence[int]:
        """Give up to `count` pages to the balloon."""
        taken = self.free[-count:]
        del self.free[-count:]
        return taken

    def give_back(self, pfns: Sequence[int]) -> None:
        """Have pages back from the balloon."""
        self.free += pfns

    def reported(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Learn what the device made of a report; this kernel reports nothing."""

    def hint(self, room: int) -> Sequence[tuple[int, int]]:  # noqa: ARG002 - part of the protocol
        """Return what is free, for who migrates a guest; this kernel tells nobody."""
        return ()

    def hints_done(self) -> None:
        """Learn that all that was hinted may be used again."""


def main(socket: str, control: str) -> None:
    """Bring the device up, let it ask for memory, and give it back."""
    memory = GuestMemoryFile([(0, SIZE)])
    for region in memory.memory.regions:
        region.view[:] = b"\1" * region.size  # a guest that has used all of its memory
    print(f"the guest holds {format_size(memory.held)}")
    link = DeviceLink(Loop(), socket, memory, Kernel())
    link.wait_for(State.RUNNING, within=10.0)
    with ControlClient(Path(control)) as host:
        for size in (48 * MIB, 64 * MIB):
            host.run("balloon", value=size)
            while link.balloon_size != SIZE - size:
                link.run_once(0.1)
            held = format_size(memory.held)
            print(f"the host asked for {format_size(size)}; the guest holds {held}")
    link.close()
    memory.close()


def with_device_of_its_own() -> None:
    """Do the same with a device that is started for it."""
    with tempfile.TemporaryDirectory(prefix="aerostat-") as place:
        socket, control = f"{place}/guest.vhost", f"{place}/guest.sock"
        command = [sys.executable, "-m", "aerostat.device", "--size", "64MiB"]
        with subprocess.Popen([*command, "--socket", socket, "--control", control]) as device:
            try:
                while not Path(control).exists() and device.poll() is None:
                    time.sleep(0.01)
                main(socket, control)
            finally:
                device.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:3]) if len(sys.argv) > 2 else with_device_of_its_own()
