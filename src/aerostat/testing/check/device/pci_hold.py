"""Taking this guest's balloon for checks, and putting it back whatever happens.

May fork; touches PCI, huge pages and /proc. As with the guest's own driver (`guest.supervisor`), a
parent holds the device and what it may write to, and a child plays: however the child ends, the
device is reset and the kernel's driver has it again before any memory is let go.
"""

import contextlib
import mmap
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.errors import AerostatError, LinkError, UsageError
from aerostat.guest.dma import DmaPage
from aerostat.guest.pci import Function, choose_balloon
from aerostat.guest.permissions import require_no_lockdown, require_root
from aerostat.guest.procfs import parse_vmstat
from aerostat.guest.supervisor import in_child, protect
from aerostat.guest.transport import Transport, open_transport, reset
from aerostat.guest.worker import STOP_SIGNALS
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.device.pci_stage import HIGHER, LOWER, RINGS, PciStage
from aerostat.testing.check.device.pci_transport import PciTransport
from aerostat.units import format_size
from aerostat.virtio.memory import require_ordering

_VMSTAT = Path("/proc/vmstat")
# Within what a page number can say, and beyond any guest of less than 8 TiB.
_BEYOND = 1 << 43
_ACTUAL = 4
#: What a shell says of a program that was told to end.
STOPPED = 130


class Where(NamedTuple):
    """Which device (None: the only one), by which interface, and what may be done to it."""

    address: str | None
    legacy: bool = False
    deflate: bool = False
    """Whether the kernel's driver may give back first what is in its balloon."""


class _Stopped(BaseException):
    """A signal has asked to stop: no check may take it for its own."""


def hold(where: Where, options: Options, play: Callable[[PciStage], int]) -> int:
    """Take the device, have a child `play` on it, and put it back; return what `play` returned.

    Raises `AerostatError` where it cannot be had, with what would help.
    """
    require_ordering()
    require_root()
    require_no_lockdown()
    # Signals wait until somebody looks, from here on: what was taken must be put back.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [*STOP_SIGNALS, signal.SIGCHLD])
    with contextlib.ExitStack() as stack:
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        stage = _take(where, options, stack)
        protect()
        result = stack.enter_context(mmap.mmap(-1, mmap.PAGESIZE))
        how = in_child(lambda: _play(stage, play, result), _say)
        code = result[0]
    if how:
        raise LinkError(f"the process that plays {how}")
    return code


def _play(stage: PciStage, play: Callable[[PciStage], int], result: mmap.mmap) -> None:
    """Play in the child, until done or told to stop."""
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        stage.meet()
        result[0] = play(stage)
    except _Stopped:
        result[0] = STOPPED
    finally:
        sys.stdout.flush()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stopped


def _say(text: str) -> None:
    sys.stderr.write(f"aerostat check: {text}\n")
    sys.stderr.flush()


def _take(where: Where, options: Options, stack: contextlib.ExitStack) -> PciStage:
    """Take everything; what may fail without touching the device comes first."""
    function = choose_balloon(where.address)
    if function.driver and not where.deflate:
        _require_empty(inflated(_VMSTAT))
    stack.callback(_put_back, function)
    dma = DmaPage(RINGS + LOWER + HIGHER)
    stack.callback(dma.close)
    # In this order: no memory is let go before the device is reset and kept from memory.
    stack.callback(function.keep_from_memory)
    function.take()
    registers = open_transport(function, legacy=where.legacy)
    stack.callback(registers.close)
    stack.callback(reset, registers)
    stack.callback(_restore_actual, registers, registers.read_config(_ACTUAL))
    name = f"PCI {function.address}"
    return PciStage(name, registers, dma.memory, dma.addresses, _BEYOND, options)


def inflated(vmstat: Path) -> int:
    """Return how many bytes the kernel's balloon drivers hold; 0 where it does not say."""
    counters = parse_vmstat(vmstat.read_text())
    pages = counters.get("balloon_inflate", 0) - counters.get("balloon_deflate", 0)
    return max(0, pages) * PAGE_SIZE


def _require_empty(size: int) -> None:
    if size:
        raise UsageError(
            f"{format_size(size)} of this guest are in its balloon, which the kernel's driver would"
            " give back before the checks: deflate it from the host, or allow it by --deflate"
        )


def _restore_actual(registers: Transport, actual: int) -> None:
    """Let the host read the balloon's size of before; checks have written others."""
    with contextlib.suppress(AerostatError):
        reset(registers)
        PciTransport.greet(registers)
        registers.write_config(_ACTUAL, actual)


def _put_back(function: Function) -> None:
    if function.taken and not function.put_back():
        _say(
            f"{function.address}: the kernel's driver did not take it back; try"
            f" echo {function.address} > /sys/bus/pci/drivers_probe"
        )
