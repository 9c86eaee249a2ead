"""``python -m aerostat.testing.fuzz.guided TARGET``: one target, guided by coverage (atheris).

A process of its own, since what is to be covered must be imported under atheris's eyes, and
libFuzzer never comes back. Findings are written down as they come, and the fuzzing goes on.
Touches the store; atheris and libFuzzer read and write its corpus.
"""

import argparse
import sys
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

# Cases to begin with, besides those that earlier runs have kept.
_FIRST = 100


def _import_watched(atheris: Any, name: str) -> Any:
    # By name, inside: atheris changes the bytecode of what is imported here, and of nothing else.
    with atheris.instrument_imports(include=["aerostat"]):
        return import_module("aerostat.testing.fuzz.registry").find(name)


def main() -> None:
    """Fuzz until the time or the number of cases is over; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--cases", type=int, default=-1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    atheris = import_module("atheris")
    target = _import_watched(atheris, options.target)
    from aerostat.testing.fuzz.judging import Judging  # noqa: PLC0415 - after what is watched
    from aerostat.testing.fuzz.keeping import Store  # noqa: PLC0415
    from aerostat.testing.fuzz.mutation import cases  # noqa: PLC0415

    store = Store(options.store)
    corpus = store.corpus(target.name)
    for number, case in enumerate(islice(cases(target, options.seed), _FIRST)):
        (corpus / f"first-{number}").write_bytes(case)
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={options.seconds}",
        f"-runs={options.cases}",
        f"-seed={options.seed}",
        f"-max_len={target.longest}",
        # Alarms are the oracle's, and so is memory: a finding is no reason to stop.
        "-timeout=0",
        "-handle_alrm=0",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    if target.words:
        words = store.directory / f"{target.name}.dict"
        words.write_text("\n".join(_quoted(word) for word in target.words) + "\n")
        arguments.append(f"-dict={words}")
    with Judging(target, store) as judging:
        atheris.Setup(arguments, judging.play, enable_python_coverage=True)
        atheris.Fuzz()


def _quoted(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"'


if __name__ == "__main__":
    main()
