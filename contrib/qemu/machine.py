"""A QEMU without a guest: whoever tries a fault writes the registers of its device.

Needs the standard library alone. The machine is a microvm whose processor is halted by the second
instruction of its firmware; what a guest's driver would write goes in by QEMU's qtest protocol
(virtio 1.2, 3.1.1 and 4.2.2). So no kernel is needed and no KVM, and nothing depends on time.
Touches one process and the sockets to it.
"""

import argparse
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backend import Backend
from programs import TIMEOUT, CannotTryError, Program, cannot_try, judge, tell

# The devices to try, the first that there is: QEMU's device for any back-end (since 10.2), as a
# balloon (virtio 1.2, 5.5), and one for a GPIO, which shares most of its code.
_DEVICES = ("vhost-user-test-device", "vhost-user-gpio-device")
_PROPERTIES = {_DEVICES[0]: ",virtio-id=5,num_vqs=5,vq_size=128,config_size=16"}

_NAME = "qemu-system-x86_64"
_MEMORY = "64M"

# Firmware, of which only what is at its end, at the reset vector, is run: cli; hlt; and again.
_FIRMWARE_SIZE = 0x10000
_HALT = bytes.fromhex("fa f4 eb fc").ljust(16, b"\x90")

# The last of a microvm's slots for virtio-mmio, which the first device gets, and its registers.
_SLOT = 0xFEB02E00
_MAGIC_VALUE, _MAGIC, _DEVICE_ID = 0x00, 0x74726976, 0x08
_STATUS, _CONFIG = 0x70, 0x100
_ACKNOWLEDGE, _DRIVER, _DRIVER_OK = 1, 2, 4
_AT_WORK = _ACKNOWLEDGE | _DRIVER | _DRIVER_OK


class Machine:
    """A machine with one device, and the device's back-end if it is one of vhost-user."""

    def __init__(self, program: str = _NAME, device: str | None = None) -> None:
        self.program = Program(_NAME, program)
        self.backend = Backend(str(self.program.directory / "backend"))
        self._device = device
        self._listeners = {name: _listen(self.program.directory / name) for name in ("test", "qmp")}

    def start(self) -> None:
        """Start it, and return when the device is there and no driver has touched it."""
        device = self._find_device()
        tell(f"device: {device}")
        firmware = self.program.directory / "firmware"
        firmware.write_bytes(bytes(_FIRMWARE_SIZE - len(_HALT)) + _HALT)
        self.program.start(
            [
                *("-machine", "microvm,memory-backend=ram", "-m", _MEMORY, "-accel", "tcg"),
                # Without its memory a core is small.
                *("-object", f"memory-backend-memfd,id=ram,size={_MEMORY},share=on,dump=off"),
                *("-nodefaults", "-display", "none", "-bios", str(firmware)),
                *("-qtest", "unix:test", "-qtest-log", "none"),
                *("-qmp", "unix:qmp"),
                *_device_options(device),
            ]
        )
        try:
            if _has_backend(device):
                self.backend.connect()
            self._test, self._qmp = (self._accept(name) for name in ("test", "qmp"))
        except (CannotTryError, TimeoutError) as error:
            raise CannotTryError(self.program.said() or str(error)) from error
        json.loads(self._qmp.readline())  # the greeting
        self.command("qmp_capabilities")
        if (self._read(_MAGIC_VALUE), self._read(_DEVICE_ID)) == (_MAGIC, 0):
            raise CannotTryError(f"{device} is not where a microvm's first device should be")
        self.program.note_image()

    def start_driver(self) -> None:
        """Bring the device up as a driver does that uses none of its queues."""
        for status in (0, _ACKNOWLEDGE, _ACKNOWLEDGE | _DRIVER, _AT_WORK):
            self._set_status(status)

    def reset_driver(self) -> None:
        """Reset the device, as a driver does that goes."""
        self._set_status(0)

    def read_configuration(self) -> int:
        """Return the configuration's first byte, read as a driver does."""
        return int(self._test_command(f"readb {_SLOT + _CONFIG:#x}")[0], 16)

    def command(self, name: str, **arguments: Any) -> Any:
        """Carry out a QMP command and return its reply. Raises `EOFError` when QEMU goes."""
        request = {"execute": name, "arguments": arguments}
        self._qmp.write(json.dumps(request).encode() + b"\n")
        self._qmp.flush()
        while line := self._qmp.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise CannotTryError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise EOFError

    def _find_device(self) -> str:
        wanted = _DEVICES if self._device is None else [self._device]
        for device in wanted:
            if self.program.ask("-device", f"{device},help").startswith(f"{device} options"):
                return device
        raise CannotTryError(f"this QEMU has no {' and no '.join(wanted)}")

    def _accept(self, name: str) -> Any:
        connection, _ = self._listeners[name].accept()
        connection.settimeout(TIMEOUT)
        return connection.makefile("rwb")

    def _set_status(self, status: int) -> None:
        self._test_command(f"writel {_SLOT + _STATUS:#x} {status:#x}")

    def _read(self, register: int) -> int:
        return int(self._test_command(f"readl {_SLOT + register:#x}")[0], 16)

    def _test_command(self, command: str) -> list[str]:
        """Carry out a command of the qtest protocol. Raises `EOFError` when QEMU goes."""
        self._test.write(f"{command}\n".encode())
        self._test.flush()
        while line := self._test.readline().split():
            if line[0] == b"OK":
                return [part.decode() for part in line[1:]]
        raise EOFError


def _has_backend(device: str) -> bool:
    return device.startswith("vhost-user-")


def _device_options(device: str) -> list[str]:
    if not _has_backend(device):
        return ["-device", f"{device},id=device"]
    return [
        *("-chardev", "socket,id=backend,path=backend,server=on,wait=on"),
        *("-device", f"{device},id=device,chardev=backend{_PROPERTIES.get(device, '')}"),
    ]


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.settimeout(TIMEOUT)
    listener.bind(str(path))
    listener.listen()
    return listener


def main(
    about: str, ways: Mapping[str, Callable[[Machine], None]], device: str | None = None
) -> int:
    """Try a fault in one of several `ways`, as the command line says; the first is the usual.

    A way is given a machine whose device no driver has touched yet. `device` is what is tried
    where the command line does not say; None is the first there is of those of vhost-user.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--qemu", metavar="PATH", default=_NAME, help="the QEMU to try")
    parser.add_argument("--device", metavar="NAME", default=device, help="one for virtio-mmio")
    parser.add_argument("--way", choices=ways, default=next(iter(ways)), help="how to try it")
    options = parser.parse_args()
    try:
        machine = Machine(options.qemu, options.device)
    except CannotTryError as error:
        return cannot_try(error)

    def attempt() -> None:
        machine.start()
        tell(f"way: {options.way}")
        ways[options.way](machine)

    return judge(machine.program, attempt)
