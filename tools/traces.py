"""Write examples/traces, samples of public traces: ``tools/traces.py [--check]``.

Nothing in them was ever measured: the machines are made up, in the format of each trace and with
its traps, so that readers can be tried without the traces themselves, most of which may not be
passed on. Deterministic, without a library.
"""

import json
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1] / "examples" / "traces"
STEP = 300
ROWS = 120
KIB_OF_GIB = 1 << 20
ARCHIVE_COLUMNS = (
    "CPU cores", "CPU capacity provisioned [MHZ]", "CPU usage [MHZ]", "CPU usage [%]",
    "Memory capacity provisioned [KB]", "Memory usage [KB]", "Disk read throughput [KB/s]",
    "Disk write throughput [KB/s]", "Network received throughput [KB/s]",
    "Network transmitted throughput [KB/s]",
)  # fmt: skip


def shares(chance: random.Random, rows: int = ROWS) -> Iterator[float]:
    """Give how much of a machine is in use: a tide, noise, and a burst now and then."""
    mean, tide = chance.uniform(0.06, 0.25), chance.uniform(0.1, 0.8)
    phase, burst = chance.uniform(0, 2 * math.pi), 0.0
    for row in range(rows):
        burst = chance.uniform(0.1, 0.5) if chance.random() < 0.03 else burst * 0.6
        day = 1 + tide * math.sin(2 * math.pi * row / 96 + phase)
        yield min(max(mean * day * chance.uniform(0.85, 1.15) + burst, 0.01), 0.98)


def bitbrains() -> dict[str, str]:
    """Return files of GWA-T-12: seconds for milliseconds, a tab, rows of no capacity, a gap."""
    files = {}
    for number, gib in ((1, 4), (2, 8), (3, 2), (10, 16)):
        chance = random.Random(f"bitbrains {number}")
        lines = [";\t".join(("Timestamp [ms]", *ARCHIVE_COLUMNS))]
        for row, share in enumerate(shares(chance)):
            if number == 2 and 60 <= row < 70:
                continue
            size = 0 if number == 3 and row < 5 else gib * KIB_OF_GIB
            reads = chance.uniform(0, 4000) * share
            fields = [
                str(1376314800 + row * STEP), "2", "5851.9988", f"{5852 * share:.4f}",
                f"{100 * share:.6f}", f"{size}.0", f"{size * share:.4f}", f"{reads:.6f}",
                f"{reads / 3:.6f}", "1.266667", "0.8",
            ]  # fmt: skip
            lines.append(";\t".join(fields))
        files[f"bitbrains/{number}.csv"] = "\n".join(lines) + "\n"
    return files


def materna() -> dict[str, str]:
    """Return files of GWA-T-13: dates, quotes, decimal commas, the size of the disk."""
    files = {}
    columns = [*ARCHIVE_COLUMNS]
    columns.insert(6, "Memory usage [%]")
    columns.insert(9, "Disk size [GB]")
    for number, gib in ((1, 4), (2, 12)):
        chance = random.Random(f"materna {number}")
        lines = [";".join(f'"{name}"' for name in ("Timestamp", *columns))]
        for row, share in enumerate(shares(chance)):
            minutes = row * STEP // 60
            day, hour = 4 + minutes // 1440, minutes // 60 % 24
            reads = chance.uniform(0, 3000) * share
            fields = [
                f"{day:02}.11.2015 {hour:02}:{minutes % 60:02}:00", "2", "0", f"{4000 * share:.0f}",
                f"{100 * share:.2f}", f"{gib * KIB_OF_GIB}", f"{gib * KIB_OF_GIB * share:.2f}",
                f"{100 * share:.2f}", f"{reads:.1f}", f"{reads / 2:.1f}", "60", "3,5", "2",
            ]  # fmt: skip
            lines.append(
                ";".join(f'"{field.replace(".", ",", row_dots(field))}"' for field in fields)
            )
        files[f"materna/{number:02}.csv"] = "\n".join(lines) + "\n"
    return files


def row_dots(field: str) -> int:
    """Return how many points of a field are decimal: those of a date are not."""
    return 0 if ":" in field else 1


def azure() -> dict[str, str]:
    """Return files of the Azure dataset: no header, open buckets, readings by time."""
    table, readings = [], []
    machines = {}
    buckets = (("2", "4"), ("4", "32"), ("8", "64"), (">24", ">64"))
    for number, (cores, memory) in enumerate(buckets):
        chance = random.Random(f"azure {number}")
        name = f"machine+{number}/made-up=="
        machines[name] = list(shares(chance))
        table.append(
            f"{name},subscription,deployment,0,2591400,91.5,20.1,80.2,Interactive,{cores},{memory}"
        )
    for row in range(ROWS):
        for name in sorted(machines, reverse=row % 2 == 1):
            busy = 100 * machines[name][row]
            readings.append(
                f"{row * STEP},{name},{busy / 2:.6f},{min(2 * busy, 100):.6f},{busy:.6f}"
            )
    half = len(readings) // 2
    return {
        "azure/vmtable.csv": "\n".join(table) + "\n",
        "azure/vm_cpu_readings-file-1-of-2.csv": "\n".join(readings[:half]) + "\n",
        "azure/vm_cpu_readings-file-2-of-2.csv": "\n".join(readings[half:]) + "\n",
    }


def google() -> dict[str, str]:
    """Return a file of ClusterData2019: microseconds as text, shares, missing figures."""
    lines = []
    instances = {}
    for number, assigned in enumerate((0.008, 0.03, 0.0)):
        chance = random.Random(f"google {number}")
        instances[number] = (assigned, list(shares(chance)))
    for row in range(ROWS):
        for number, (assigned, used) in instances.items():
            memory = (assigned or 0.01) * used[row]
            usage: dict[str, object] = {
                "start_time": str((600 + row * STEP) * 1_000_000),
                "end_time": str((600 + (row + 1) * STEP) * 1_000_000),
                "collection_id": str(330587238000 + number),
                "machine_id": "22490137",
                "average_usage": {"cpus": round(used[row] / 10, 6), "memory": round(memory, 8)},
                "maximum_usage": {"cpus": round(used[row] / 5, 6)},
                "page_cache_memory": round(memory / 4, 8),
            }
            if number:  # What is 0 may be missing.
                usage["instance_index"] = str(number)
            if assigned:
                usage["assigned_memory"] = assigned
            lines.append(json.dumps(usage))
    return {"google/instance_usage.json": "\n".join(lines) + "\n"}


def alibaba() -> dict[str, str]:
    """Return files of cluster-trace-v2018: no header, unknown figures, rows in no order."""
    chance = random.Random("alibaba")
    machines, containers = [], []
    for number in range(3):
        for row, share in enumerate(shares(chance)):
            time, used, disk = row * STEP, f"{40 + 55 * share:.0f}", f"{100 * share / 3:.0f}"
            if row % 50 == 7:
                used = ("-1", "101", "")[number]
            if row % 40 == 3:
                disk = "-1"
            machines.append(f"m_{number},{time},{100 * share:.0f},{used},,1,40.2,35.1,{disk}")
            containers.append(
                f"c_{number},m_{number},{time},{100 * share:.0f},{used},1.1,,2,0.1,0.2,{disk}"
            )
    chance.shuffle(machines)
    chance.shuffle(containers)
    return {
        "alibaba/machine_usage.csv": "\n".join(machines) + "\n",
        "alibaba/container_usage.csv": "\n".join(containers) + "\n",
    }


def samples() -> dict[str, str]:
    """Return the text of every sample, by its path below examples/traces."""
    return bitbrains() | materna() | azure() | google() | alibaba()


def main() -> int:
    """Write them, or say which are not as they would be written."""
    stale = 0
    for name, text in samples().items():
        path = SAMPLES / name
        if "--check" in sys.argv[1:]:
            if not path.is_file() or path.read_text() != text:
                print(f"{path} is not up to date: run tools/traces.py")
                stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return stale


if __name__ == "__main__":
    sys.exit(main())
