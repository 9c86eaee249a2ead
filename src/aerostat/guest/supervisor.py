"""The small parent: takes the device from the kernel, and sees to it that it is put back.

May fork, and touches the device through `pci` and `transport`. It holds what the device may write
to or discard: the page with the rings, and the pins of the balloon's pages. So when the worker
dies, by whatever signal, none of that memory is anybody else's before the device is reset and
kept from memory. When the supervisor dies, the worker does the same. Standard library only,
Python 3.9.
"""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aerostat.errors import AerostatError, LinkError
from aerostat.guest.dma import DmaPage
from aerostat.guest.pci import Function, choose_balloon
from aerostat.guest.permissions import require_no_lockdown, require_root
from aerostat.guest.pins import Pins, choose_pins
from aerostat.guest.transport import Transport, open_transport, reset
from aerostat.guest.worker import STOP_SIGNALS, die_with, work
from aerostat.virtio.memory import require_ordering

_OOM_SCORE = Path("/proc/self/oom_score_adj")
_NEVER = "-1000"

_FAILED = 1


class Held(NamedTuple):
    """What is taken, and has to be given back."""

    function: Function
    transport: Transport
    dma: DmaPage
    pins: Pins


def supervise(device: str | None, *, legacy: bool, log: Callable[[str], None]) -> None:
    """Drive a balloon until a signal asks to stop, and leave everything as it was.

    It is the one at PCI address `device`, or the only one. Raises `AerostatError`, after putting
    back what had been taken.
    """
    require_ordering()
    require_root()
    require_no_lockdown()
    # Signals wait until somebody looks, from here on: what was taken must be put back.
    signal.pthread_sigmask(signal.SIG_BLOCK, [*STOP_SIGNALS, signal.SIGCHLD])
    with contextlib.ExitStack() as stack:
        held = _take(device, log, stack, legacy=legacy)
        protect()
        how = in_child(lambda: work(held.transport, held.dma, held.pins, log), log)
    if how:
        raise LinkError(f"the worker {how}")


def in_child(work: Callable[[], object], log: Callable[[str], None]) -> str:
    """Have a child do the work; return how it ended, if not as asked.

    What asks to stop is passed on to it; signals must be blocked already. Should the parent die,
    it is the child that returns: an orphan, which undoes what its parent has done.
    """
    parent = os.getpid()
    worker = os.fork()
    return _watch(worker) if worker else _be_worker(work, parent, log)


def protect() -> None:
    """Ask the kernel not to kill this process for want of memory."""
    with contextlib.suppress(OSError):
        _OOM_SCORE.write_text(_NEVER)


def _take(
    device: str | None, log: Callable[[str], None], stack: contextlib.ExitStack, *, legacy: bool
) -> Held:
    """Take everything, what may fail for want of permission before the device is touched."""
    function = choose_balloon(device)
    before = function.driver
    # What is undone first is the last here: no memory is let go before the device is reset and
    # kept from memory; and as the guest may be waiting for memory, the rest comes after that.
    stack.callback(_put_back, function, log)
    dma = DmaPage()
    stack.callback(dma.close)
    pins = choose_pins()
    stack.callback(pins.close)
    stack.callback(function.keep_from_memory)
    function.take()
    transport = open_transport(function, legacy=legacy)
    stack.callback(transport.close)
    stack.callback(reset, transport)
    log(f"took {function.address} from {before or 'nobody'}; pages are {pins}")
    return Held(function, transport, dma, pins)


def _put_back(function: Function, log: Callable[[str], None]) -> None:
    if not function.taken:
        return
    if function.put_back():
        log(f"{function.address} is back with {function.driver or 'nobody'}")
    else:
        log(f"{function.address}: the kernel's driver did not take it back")


def _be_worker(work: Callable[[], object], parent: int, log: Callable[[str], None]) -> str:
    """Do the work in this newly forked process, and end it; return only if the parent has died."""
    failed = ""
    try:
        die_with(parent)
        work()
    except AerostatError as error:
        failed = f"failed: {error}"
        log(str(error))
    except Exception as error:  # noqa: BLE001 - a mistake of ours, and the parent will put all back
        failed = f"failed: {error!r}"
        traceback.print_exc()
    if os.getppid() == parent:
        os._exit(_FAILED if failed else 0)
    log("the supervisor has died")
    return failed


def _watch(worker: int) -> str:
    """Pass on what asks to stop, until the worker has ended; return how, if not as asked."""
    while True:
        number = signal.sigwait([*STOP_SIGNALS, signal.SIGCHLD])
        if number != signal.SIGCHLD:
            os.kill(worker, signal.SIGTERM)
            continue
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended and os.WIFSIGNALED(status):
            return f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
        if ended:
            code = os.WEXITSTATUS(status)
            return f"ended with {code}" if code else ""
