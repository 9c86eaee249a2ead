"""A program in the place of libvirt's helper, as a scenario has it: well-behaved, or not at all.

Started as the helper is, with the path of a scenario in place of a URI; `aerostat.testing.mocks
.libvirt` writes it. The standard library alone, as it runs isolated.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def say(message: object) -> None:
    """Write one message."""
    os.write(1, json.dumps(message).encode() + b"\n")


def _endless_line(_number: int) -> None:
    while True:
        os.write(1, b"x" * 65536)


def _complain(number: int) -> None:
    os.write(2, b"a complaint\n" * 10_000)
    say({"id": number, "value": {}})


# What no helper should do, in answer to a request.
FAULTS: dict[str, Callable[[int], object]] = {
    "hang": lambda _number: None,  # this call alone is never answered
    "sleep": lambda _number: time.sleep(60),
    "die": lambda _number: os._exit(3),
    "garbage": lambda _number: os.write(1, b"\x00\xff nonsense\n"),
    "wrong id": lambda number: say({"id": number + 1000, "value": None}),
    "wrong form": lambda number: say({"id": str(number), "value": {}}),
    "wrong value": lambda number: say({"id": number, "value": [1, "x", None]}),
    "nest": lambda _number: os.write(1, b'{"id":1,"value":' + b"[" * 99_999 + b"\n"),
    "endless line": _endless_line,
    "complain": _complain,
    "refuse": lambda number: say({"id": number, "error": "not allowed", "code": 29}),
}


def answer(scenario: dict[str, Any], request: dict[str, Any]) -> None:
    """Answer one request as the scenario has it."""
    number, call = request["id"], request["do"]
    with Path(scenario["log"]).open("a") as log:
        log.write(json.dumps(request) + "\n")
    if fault := scenario["faults"].get(call):
        FAULTS[fault](number)
        return
    domains = scenario["domains"]
    uuid = request.get("uuid")
    if uuid is not None and uuid not in domains:
        say({"id": number, "error": "Domain not found", "code": 42})
        return
    match call:
        case "domains":
            value: Any = [[key, each["name"], each["number"]] for key, each in domains.items()]
        case "stats":
            value = {key: domains[key]["record"] for key in request["uuids"] if key in domains}
        case "xml":
            value = domains[uuid]["xml"]
        case _:
            value = scenario["answers"].get(call)
    say({"id": number, "value": value})


def main(path: str, mode: str) -> None:
    """Serve as the scenario at `path` has it, read anew for each request."""
    scenario = json.loads(Path(path).read_text())
    for message in scenario["first"]:
        say(message)
    if scenario["begin"]:
        say({"ready": {"type": "QEMU", "mode": scenario["mode"] or mode, "events": []}})
    for line in sys.stdin:
        scenario = json.loads(Path(path).read_text())
        for message in scenario["events"]:
            say(message)
        answer(scenario, json.loads(line))


if __name__ == "__main__":
    main(*sys.argv[1:])
