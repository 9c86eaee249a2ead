"""What /proc says of a QEMU and its threads."""

import os
import time
from pathlib import Path

import pytest
from bench.guests import resident_bytes, seconds_of, thread_cpu


def test_the_cpu_of_a_thread_is_the_first_of_three_figures() -> None:
    assert seconds_of("1234567890 42 7\n") == pytest.approx(1.23456789)


def test_our_own_main_thread_has_worked() -> None:
    before = thread_cpu(os.getpid(), os.getpid())
    assert 0 < before <= time.process_time()


def test_what_is_resident_is_the_second_figure_in_pages() -> None:
    assert resident_bytes("5000 1200 300 1 0 900 0\n") == 1200 * os.sysconf("SC_PAGE_SIZE")
    own = resident_bytes(Path("/proc/self/statm").read_text())
    assert own > 1 << 20
