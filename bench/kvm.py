"""Figures of a host that has KVM, in one report file that anybody can contribute.

``make bench-kvm``. Nothing that is known of this project's costs was measured with hardware
virtualisation: the machines that it was made on have none. This looks whether a virtual CPU really
runs here, runs the device's benches, those with real guests under ``-accel kvm``, and writes
``build/bench-kvm.json``: what machine it was, a summary in lines of text, and every figure. It says
nothing of who you are or what the machine is called. ``--accel tcg`` makes the same report under
emulation, to try it. With ``--comparison`` eight guests are also driven by our manager and by the
rules of others in turn (`aerostat.testing.trials.comparison`): that takes an hour and more, and
goes on where it was interrupted. Exits with 1 if a bench failed, with 2 if there is no usable KVM
or something else is missing.
"""

import argparse
import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.guests import check_qemu

from aerostat.errors import MissingError
from aerostat.testing.guests import qemu
from aerostat.testing.trials.comparison import report as comparison
from aerostat.units import format_size
from bench import run

KVM = Path("/dev/kvm")
REPORT = run.RESULTS.with_name("bench-kvm.json")

#: What the report is made of; all but the first do without a guest in a VM.
BENCHES = ("qemu", "inflate", "statistics", "fleet", "parse")

MISSING = 2

# linux/kvm.h: _IO(0xAE, …).
_GET_API_VERSION = 0xAE00
_CREATE_VM = 0xAE01
_CREATE_VCPU = 0xAE41
_RUN = 0xAE80
_API_VERSION = 12

COMPARISON = run.RESULTS.with_name("comparison-kvm")

_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")


def check_kvm(path: Path = KVM) -> None:
    """Raise `MissingError` unless a virtual CPU can be made and runs.

    That the file is there, and even that a VM can be made, says nothing within a VM that has no
    nested virtualisation.
    """
    step = "cannot be opened"
    opened: list[int] = []
    try:
        opened.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        step = "is no KVM"
        if fcntl.ioctl(opened[0], _GET_API_VERSION, 0) != _API_VERSION:
            raise MissingError(f"no usable KVM: {path} has another interface than this knows")
        step = "makes no virtual CPU"
        opened.append(fcntl.ioctl(opened[0], _CREATE_VM, 0))
        opened.append(fcntl.ioctl(opened[1], _CREATE_VCPU, 0))
        step = "runs no virtual CPU"
        fcntl.ioctl(opened[2], _RUN, 0)  # it has no memory, and comes back at once
    except OSError as error:
        raise MissingError(f"no usable KVM: {path} {step}: {error.strerror}") from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def machine(qemu_program: str) -> dict[str, Any]:
    """Return what the figures depend on, of this machine and its programs."""
    version = subprocess.run(
        [qemu_program, "--version"], capture_output=True, text=True, check=True
    )
    packages = ("aerostat", "numpy")
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cpus": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(),
        "kernel": platform.release(),
        "huge_pages": {
            name: chosen((_HUGE_PAGES / name).read_text())
            for name in ("enabled", "shmem_enabled")
            if (_HUGE_PAGES / name).exists()
        },
        "qemu": version.stdout.splitlines()[0],
        "guest_kernel": qemu.Parts().kernel.name.removeprefix("vmlinuz-"),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


def cpu_model(cpuinfo: str) -> str:
    """Return the name of the processor, as ``/proc/cpuinfo`` has it."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def chosen(setting: str) -> str:
    """Return the choice in brackets of a setting of the kernel's, such as ``always [never]``."""
    return setting.partition("[")[2].partition("]")[0] or setting.strip()


def summary(facts: Mapping[str, Any], accelerator: str, figures: Sequence[run.Figure]) -> list[str]:
    """Return the report in lines of text."""
    where = "a virtual machine" if facts["virtual"] else "no virtual machine"
    huge_pages = ", ".join(f"{name} {choice}" for name, choice in facts["huge_pages"].items())
    lines = [
        f"{facts['cpu']}, {facts['cpus']} CPUs, {format_size(facts['memory'])}, {where}",
        f"Linux {facts['kernel']}, huge pages: {huge_pages or 'none'}",
        f"{facts['qemu']}, -accel {accelerator}, guests on Linux {facts['guest_kernel']}",
        f"Python {facts['python']}, aerostat {facts['aerostat']}",
    ]
    for figure in figures:
        ours, rival, ratio = (run.rounded(figure[key]) for key in ("ours", "rival", "ratio"))
        met = "met" if figure["met"] else "missed"
        lines.append(
            f"{figure['name']}: {ours} {figure['unit']}; {figure['rival_name']}: {rival}; "
            f"ratio {ratio} ({figure['goal']}: {met})"
        )
    return lines


def compare(accelerator: str, *, quick: bool, directory: Path = COMPARISON) -> dict[str, Any]:
    """Compare policies on guests of this host, and return all figures; {} where it failed.

    The page with them is in `directory`.
    """
    command = [sys.executable, "-m", "aerostat.testing.trials.comparison"]
    command += ["--accel", accelerator, "--output", str(directory), *(["--short"] * quick)]
    figures = directory / "comparison.json"
    figures.unlink(missing_ok=True)  # of another time
    subprocess.run(command, stdout=sys.stderr, check=False)
    compared: dict[str, Any] = json.loads(figures.read_text()) if figures.exists() else {}
    return compared


def main(
    arguments: Sequence[str] | None = None,
    *,
    directory: Path = run.BENCHES,
    benches: Sequence[str] = BENCHES,
    kvm: Path = KVM,
) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--accel", default="kvm", help="QEMU's -accel; default: kvm")
    parser.add_argument("--quick", action="store_true", help="a rough answer, soon")
    parser.add_argument("--comparison", action="store_true", help="compare policies, too")
    parser.add_argument("--output", type=Path, default=REPORT, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        if options.accel.partition(",")[0] == "kvm":
            check_kvm(kvm)
        check_qemu()
        facts = machine(qemu.find_program())
    except MissingError as error:
        print(f"bench-kvm: {error}", file=sys.stderr)
        return MISSING
    os.environ["AEROSTAT_ACCELERATOR"] = options.accel
    figures: list[run.Figure] = []
    failures = {}
    for name in benches:
        print(f"{name}…", file=sys.stderr, flush=True)
        try:
            figures += run.run(name, quick=options.quick, directory=directory)
        except (run.BenchFailedError, run.BenchSkippedError) as error:
            failures[name] = str(error)
            print(f"{name}: {error}", file=sys.stderr)
    lines = summary(facts, options.accel, figures)
    compared = compare(options.accel, quick=options.quick) if options.comparison else {}
    if compared:
        lines += comparison.lines(compared)
    elif options.comparison:
        failures["comparison"] = "it came to nothing"
    report = {
        "summary": lines,
        "accelerator": options.accel,
        "quick": options.quick,
        "machine": facts,
        "figures": figures,
        "failures": failures,
        "comparison": compared,
    }
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print("\n".join(lines))
    print(f"written to {options.output}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
