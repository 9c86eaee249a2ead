"""Checks of the memory that a front-end shares (vhost-user, "Memory regions description")."""

import fcntl
import os
import time

from aerostat.testing.check.checks import Judge
from aerostat.testing.check.deadline import Deadline
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.registry import CHECKS
from aerostat.testing.check.device.requests import establish, good_requests
from aerostat.testing.check.device.socket_transport import socket_of

_LOOK_EVERY = 0.01


@CHECKS.add("VU-DEV-10")
def another_table_while_rings_run(machine: Machine, judge: Judge) -> None:
    """Share the memory again while rings run, twice, and have pages taken after each."""
    transport = socket_of(machine)
    machine.start()
    establish(machine)
    for turn in range(2):
        transport.front_end.share_memory()
        pages = Pages(machine, machine.pages[turn][:4])
        machine.inflate(*pages.numbers)
        late = pages.released(pages.numbers)
        judge.expect(not late, "VU-DEV-10", f"{shown(late)} left, after another table")
    good_requests(machine)


@CHECKS.add("VU-DEV-11")
def all_is_let_go_of(machine: Machine, judge: Judge) -> None:
    """Hang up while rings run; then see by seals of the memory whether somebody still maps it.

    The next front-end must be served after that, which holds for every check.
    """
    transport = socket_of(machine)
    machine.start()
    establish(machine)
    memory = os.dup(transport.file.descriptor)
    try:
        machine.close()
        limit = Deadline(machine.patience)
        while not _can_be_sealed(memory):
            if limit.over:
                judge.violated("VU-DEV-11", "the memory is still mapped after the hang-up")
                return
            time.sleep(_LOOK_EVERY)
    finally:
        os.close(memory)


def _can_be_sealed(memory: int) -> bool:
    """Return whether nobody has a memfd mapped for writing any more: only then it can be sealed."""
    try:
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    except OSError:
        return False
    return True
