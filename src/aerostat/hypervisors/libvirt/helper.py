"""The helper process that talks to libvirt for the manager, in JSON, one message a line.

A program of its own, started by path on the distribution's Python, because that one has libvirt's
binding and the manager's virtual environment mostly has not. So it imports nothing but the
standard library and ``libvirt``, and keeps to Python 3.9.

It lives as long as one connection to libvirtd: what breaks ends it, and the manager starts the
next one. Calls that a hung guest can hold up run in threads, a bounded number of them; the main
thread runs libvirt's event loop. It believes its standard input, and bounds what it sends.

Messages, from the helper: ``{"hello": {...}}`` when it has begun, ``{"missing": why}`` instead
where there is no binding, ``{"ready": {...}}`` when it is connected, ``{"lost": why}`` as its last
word; ``{"id": N, "value": ...}`` and ``{"id": N, "error": why, "code": C}`` as answers, and
``{"event": kind, "uuid": U, "name": N, "details": [...]}``. To the helper:
``{"id": N, "lane": L, "do": call, ...}``, each call a method of `Calls`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Union

# libvirtd serves five calls of one connection at a time (max_client_requests); one is left free.
THREADS = 4
# More wait only if the manager has lost count.
MOST_WAITING = 1000
MOST_KNOWN = 5000
# Domain descriptions are some 10 KiB; the manager takes no longer lines than this and a bit.
LONGEST_TEXT = 1 << 20
LONGEST_ERROR = 400
KEEPALIVE_INTERVAL = 5
KEEPALIVE_COUNT = 3

LANES = ("look", "act", "agent")
"""What only looks, what a monitor can hold up, and what an agent in a guest can hold up."""

EVENTS = (
    "LIFECYCLE",
    "REBOOT",
    "BALLOON_CHANGE",
    "DEVICE_ADDED",
    "DEVICE_REMOVED",
    "MEMORY_DEVICE_SIZE_CHANGE",
    "METADATA_CHANGE",
    "AGENT_LIFECYCLE",
    "MIGRATION_ITERATION",
    "JOB_COMPLETED",
)

# memoryStats() in the words of the bulk call.
_OWN_WORDS = {"last_update": "last-update"}

Value = Union[None, bool, int, str, "list[Any]", "dict[str, Any]"]


class Output:
    """Standard output, a whole line at a time whoever writes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: dict[str, Value]) -> None:
        """Write one message; end the process if nobody reads any more."""
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            with self._lock:
                while data:
                    data = data[os.write(self._descriptor, data) :]
        except OSError:
            os._exit(0)

    def leave(self, why: object) -> None:
        """Say the last word, and end the process whatever its threads are held up by."""
        self.send({"lost": str(why)[:LONGEST_ERROR]})
        os._exit(1)


class Lane:
    """Threads that carry out calls on one connection, those of `calls` in turn."""

    def __init__(self, calls: Calls, output: Output) -> None:
        self._calls = calls
        self._output = output
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(MOST_WAITING)
        for _ in range(THREADS):
            threading.Thread(target=self._work, daemon=True).start()

    def put(self, request: dict[str, Any]) -> None:
        """Have a call carried out when a thread is free."""
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            self._output.send({"id": request["id"], "error": "too many calls wait", "code": 0})

    def _work(self) -> None:
        while True:
            request = self._waiting.get()
            answer: dict[str, Value] = {"id": request.pop("id")}
            try:
                answer["value"] = getattr(self._calls, request.pop("do"))(**request)
            except Exception as error:  # noqa: BLE001 - whatever it is, the manager is told
                code = getattr(error, "get_error_code", lambda: None)()
                answer.update(error=str(error)[:LONGEST_ERROR], code=code or 0)
            self._output.send(answer)


class Calls:
    """What the manager may ask for, on one connection to libvirt."""

    def __init__(self, libvirt: Any, connection: Any) -> None:
        self._libvirt = libvirt
        self._connection = connection
        self._domains: dict[str, Any] = {}

    def domains(self) -> list[Any]:
        """Return UUID, name and number of each domain that is active."""
        flag = self._libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        found = self._connection.listAllDomains(flag)
        self._domains = {domain.UUIDString(): domain for domain in found}
        return [[uuid, domain.name(), domain.ID()] for uuid, domain in self._domains.items()]

    def stats(self, uuids: list[str], *, blocks: bool) -> dict[str, Any]:
        """Return state, balloon and, if asked, block reads by UUID; what is gone is left out.

        A domain that another call has hold of, because its monitor hangs perhaps, is not waited
        for: only its sizes are there.
        """
        libvirt = self._libvirt
        groups = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_BALLOON
        if blocks:
            groups |= libvirt.VIR_DOMAIN_STATS_BLOCK
        flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        domains = [domain for domain in map(self._find, uuids) if domain is not None]
        if not domains:  # to libvirt, no domains would be all domains
            return {}
        records = self._connection.domainListGetStats(domains, groups, flags)
        return {domain.UUIDString(): self._record(domain, raw) for domain, raw in records}

    def xml(self, uuid: str) -> str:
        """Return the description of a domain as it is now."""
        description: str = self._domain(uuid).XMLDesc(0)
        if len(description) > LONGEST_TEXT:
            raise ValueError(f"a description of {len(description)} letters")
        return description

    def set_memory(self, uuid: str, size_kib: int) -> None:
        """Ask a guest to keep that much memory."""
        self._domain(uuid).setMemoryFlags(size_kib, self._libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_period(self, uuid: str, periods: list[int]) -> None:
        """Set the period of a guest's statistics, one value after the other, seconds."""
        domain = self._domain(uuid)
        for period in periods:
            domain.setMemoryStatsPeriod(period, self._libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def monitor(self, uuid: str, command: str) -> str:
        """Send a command to QEMU's own monitor, past libvirt."""
        answer: str = _libvirt_qemu().qemuMonitorCommand(self._domain(uuid), command, 0)
        return answer[:LONGEST_TEXT]

    def agent(self, uuid: str, command: str, seconds: int) -> str:
        """Send a command to the agent inside a guest; wait at most that long for it."""
        answer: str = _libvirt_qemu().qemuAgentCommand(self._domain(uuid), command, seconds, 0)
        return answer[:LONGEST_TEXT]

    def _find(self, uuid: str) -> Any:
        try:
            return self._domain(uuid)
        except self._libvirt.libvirtError:
            return None

    def _domain(self, uuid: str) -> Any:
        domain = self._domains.get(uuid)
        if domain is None:
            if len(self._domains) > MOST_KNOWN:
                self._domains.clear()  # mostly of guests that have gone
            domain = self._domains[uuid] = self._connection.lookupByUUIDString(uuid)
        return domain

    def _record(self, domain: Any, raw: dict[str, Any]) -> dict[str, Any]:
        """Return what the manager needs of what libvirt says of a domain."""
        record = {key: raw[key] for key in raw if key.startswith(("state.", "balloon."))}
        if "balloon.maximum" not in record:
            record.update(self._ask_alone(domain))
        if raw.get("block.count"):
            record["reads"] = _add_reads(raw)
        return record

    def _ask_alone(self, domain: Any) -> dict[str, Any]:
        """Ask a domain by itself: not every driver of libvirt tells of balloons in bulk."""
        _, maximum, current, *_ = domain.info()
        record = {"balloon.maximum": maximum, "balloon.current": current}
        try:
            figures = domain.memoryStats()
        except self._libvirt.libvirtError:
            figures = {}
        for key, value in figures.items():
            record[f"balloon.{_OWN_WORDS.get(key, key)}"] = value
        return record


def _libvirt_qemu() -> Any:
    return importlib.import_module("libvirt_qemu")  # not every libvirt comes with it


def _add_reads(raw: dict[str, Any]) -> list[int]:
    """Return the bytes and the requests that all disks of a domain have read together."""
    totals = [0, 0]
    for key, value in raw.items():
        if key.startswith("block."):
            totals[0] += value if key.endswith(".rd.bytes") else 0
            totals[1] += value if key.endswith(".rd.reqs") else 0
    return totals


def _open(libvirt: Any, uri: str, mode: str) -> tuple[Any, str]:
    """Connect, and return the connection with its mode; ``either`` takes what it is given."""
    if mode != "read-only":
        try:
            return libvirt.open(uri), "full"
        except libvirt.libvirtError:
            if mode == "full":
                raise
    return libvirt.openReadOnly(uri), "read-only"


def _tend(libvirt: Any, connection: Any, output: Output) -> None:
    """Have the end of a connection noticed."""
    with contextlib.suppress(libvirt.libvirtError):  # as with a driver inside this process
        connection.setKeepAlive(KEEPALIVE_INTERVAL, KEEPALIVE_COUNT)
    with contextlib.suppress(libvirt.libvirtError):
        connection.registerCloseCallback(
            lambda _connection, _reason, _opaque: output.leave("libvirtd closed the connection"),
            None,
        )


def _watch(libvirt: Any, connection: Any, output: Output) -> list[str]:
    """Have events sent on; return the names of those that this libvirt knows."""
    known = []
    for name in EVENTS:
        number = getattr(libvirt, f"VIR_DOMAIN_EVENT_ID_{name}", None)
        if number is None:
            continue
        # None is missed for long: domains are listed anew now and then.
        with contextlib.suppress(libvirt.libvirtError):
            connection.domainEventRegisterAny(None, number, _forward(output), name.lower())
            known.append(name.lower())
    return known


def _forward(output: Output) -> Callable[..., None]:
    def forward(_connection: Any, domain: Any, *rest: Any) -> None:
        *details, kind = rest
        output.send(
            {
                "event": kind,
                "uuid": domain.UUIDString(),
                "name": domain.name(),
                "details": [
                    detail[:LONGEST_ERROR] if isinstance(detail, str) else detail
                    for detail in details
                    if isinstance(detail, (int, str))
                ],
            }
        )

    return forward


def _read_requests(source: Iterable[bytes], lanes: dict[str, Lane]) -> None:
    """Hand out what the manager asks; end the process when the manager has gone."""
    for line in source:
        request = json.loads(line)
        lanes[request.pop("lane")].put(request)
    os._exit(0)


def main(uri: str, mode: str) -> None:
    """Serve the manager on standard input and output."""
    output = Output(os.dup(1))
    os.dup2(2, 1)  # a library that prints must not spoil a line
    try:
        libvirt: Any = importlib.import_module("libvirt")
    except ImportError as error:
        output.send({"missing": str(error)[:LONGEST_ERROR]})
        return
    output.send({"hello": {"libvirt": libvirt.getVersion(), "python": sys.version.split()[0]}})
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # or it prints them, too
    libvirt.virEventRegisterDefaultImpl()
    # Began before connecting, so that the manager's end is noticed even while that hangs.
    lanes: dict[str, Lane] = {}
    threading.Thread(target=lambda: _read_requests(sys.stdin.buffer, lanes), daemon=True).start()
    threading.Thread(target=lambda: _serve(libvirt, uri, mode, lanes, output), daemon=True).start()
    while True:
        libvirt.virEventRunDefaultImpl()


def _serve(libvirt: Any, uri: str, mode: str, lanes: dict[str, Lane], output: Output) -> None:
    """Connect once for each lane, so that none is held up by what holds up another."""
    try:
        first, mode = _open(libvirt, uri, mode)
        kind = first.getType()
        events = _watch(libvirt, first, output)
        for lane in LANES:
            # A test driver lives inside this process, and another would have its own domains.
            shared = lane == LANES[0] or kind == "TEST"
            connection = first if shared else _open(libvirt, uri, mode)[0]
            _tend(libvirt, connection, output)
            lanes[lane] = Lane(Calls(libvirt, connection), output)
    except libvirt.libvirtError as error:
        output.leave(error)
    output.send({"ready": {"type": kind, "mode": mode, "events": list(events)}})


if __name__ == "__main__":
    main(*sys.argv[1:])
