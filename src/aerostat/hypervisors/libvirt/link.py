"""One helper process and the conversation with it (asyncio): see `helper`.

Starts the helper on the distribution's Python, pairs answers by id, and kills it when it breaks
the rules: a line that cannot be read or is too long, threads that are all held up, an open that
takes too long. What the helper sends is checked; a helper that misbehaves costs one connection
and never blocks the manager.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aerostat.errors import AerostatError, LinkError, MissingError, PeerError

log = logging.getLogger(__name__)

HELPER = Path(__file__).with_name("helper.py")
THREADS = 4
"""How many calls of one lane can be under way at once in the helper."""

# One chunk of guests is some 40 KiB, the longest description of a domain 1 MiB of letters.
_MAX_LINE = 8 << 20
_MAX_ASKED = 900
_OPEN_TIMEOUT = 10.0
_EXIT_TIMEOUT = 0.5
# What a helper may say on its standard error in its life; the rest is read and dropped.
_MAX_COMPLAINTS = 10
_MAX_COMPLAINT = 200
_GET_IT = "apt install python3-libvirt"


class CallError(LinkError):
    """libvirt refused a call; `code` is its VIR_ERR number, 0 where it is not libvirt's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class DomainEvent(NamedTuple):
    """Something happened to a domain: libvirt's VIR_DOMAIN_EVENT_ID in small letters."""

    kind: str
    uuid: str
    details: tuple[Any, ...]


Mode = Literal["full", "read-only", "either"]
"""How to connect; ``either`` is fully where that is allowed."""


class Program(NamedTuple):
    """Which helper to start, on which Python, and what it is to connect to."""

    uri: str
    mode: Mode
    python: str
    helper: Path


class _Overdue(NamedTuple):
    lane: str
    uuid: str | None


class HelperLink:
    """A running helper; made by `open_helper`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._handle = _open_handle(process.pid)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._overdue: dict[int, _Overdue] = {}  # given up by who asked, and not answered yet
        self._last_id = 0
        self._ended = asyncio.Event()
        self.may_change = False
        """Whether the connection allows changes."""
        self.ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.error: AerostatError | None = None
        """Why the helper has ended; None while it lives."""
        self.on_event: Callable[[DomainEvent], None] = lambda _event: None
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._complain())]

    async def ask(self, lane: str, call: str, timeout: float, **arguments: Any) -> Any:
        """Have a call made, and return its value, within `timeout` seconds.

        `lane` is which of the helper's threads take it: ``look``, ``act`` or ``agent``. Raises
        `CallError`, or `LinkError` when the time is up or the helper has ended.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)  # or it would grow with every raise
        if len(self._answers) + len(self._overdue) >= _MAX_ASKED:
            raise LinkError("too many calls to libvirt are under way")
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._write({"id": number, "lane": lane, "do": call, **arguments})
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise LinkError(f"libvirt did not answer within {timeout:g} s") from None
        finally:
            if self._answers.pop(number, None) is not None and self.error is None:
                self._overdue[number] = _Overdue(lane, arguments.get("uuid"))

    def held_up(self, lane: str) -> bool:
        """Tell whether all threads of a lane are taken by calls that nobody waits for any more."""
        return sum(call.lane == lane for call in self._overdue.values()) >= THREADS

    def owes(self, lane: str, uuid: str) -> bool:
        """Tell whether a call to this domain, which nobody waits for any more, is still on."""
        return any(call == (lane, uuid) for call in self._overdue.values())

    def kill(self, reason: AerostatError) -> None:
        """End the helper at once; whoever waits for an answer is told the reason."""
        if self.error is not None:
            return
        self.error = reason
        self._ended.set()
        for answer in self._answers.values():
            _refuse(answer, reason)
        self._answers.clear()
        _refuse(self.ready, reason)
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def wait_ended(self) -> AerostatError:
        """Wait until the helper has ended; return why."""
        await self._ended.wait()
        assert self.error is not None
        return self.error

    async def close(self) -> None:
        """End the helper, kindly first, and wait for its end."""
        if self._process.stdin is not None and self.error is None:
            self._process.stdin.close()  # that is how it learns of our end
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_TIMEOUT):
                    await self._process.wait()
        self.kill(LinkError("the connection was closed"))
        await self._process.wait()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def _read(self) -> None:
        """Take what the helper says, until it ends or breaks the rules."""
        assert self._process.stdout is not None
        reason: AerostatError = LinkError("libvirt's helper has died")
        try:
            while line := await self._process.stdout.readline():
                self._take(_decode(line))
        except ValueError:  # the reader's own, for a line without an end
            reason = PeerError("libvirt's helper sent a line that is too long")
        except AerostatError as error:
            reason = error
        except OSError as error:
            reason = LinkError(f"libvirt's helper: {error}")
        self.kill(reason)

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"id": int(number), "value": value}:
                self._answer(number, value)
            case {"id": int(number), "error": str(text), "code": int(code)}:
                self._answer(number, CallError(f"libvirt: {text}", code))
            case {"event": str(kind), "uuid": str(uuid), "details": list(details)}:
                self.on_event(DomainEvent(kind, uuid, tuple(details)))
            case {"ready": dict(what)} if not self.ready.done():
                self.may_change = what.get("mode") == "full"
                self.ready.set_result(what)
            case {"hello": dict(what)}:
                log.debug("libvirt's helper runs: %s", what)
            case {"missing": str(text)}:
                raise MissingError(f"this Python has no libvirt ({text}); {_GET_IT}")
            case {"lost": str(text)}:
                raise LinkError(f"libvirt: {text}")
            case _:
                raise PeerError("libvirt's helper sent something that it should not")

    def _answer(self, number: int, value: Any) -> None:
        """Give an answer to who waits for it; one that comes too late is dropped."""
        self._overdue.pop(number, None)
        answer = self._answers.pop(number, None)
        if answer is None or answer.done():
            return
        if isinstance(value, CallError):
            answer.set_exception(value)
        else:
            answer.set_result(value)

    async def _complain(self) -> None:
        """Log the first of what the helper says on standard error, and drop the rest."""
        assert self._process.stderr is not None
        left = _MAX_COMPLAINTS
        while data := await self._process.stderr.read(1 << 16):
            for line in data.decode(errors="replace").splitlines()[:left]:
                text = "".join(letter for letter in line if letter.isprintable())
                log.warning("libvirt's helper: %s", text[:_MAX_COMPLAINT])
                left -= 1


def _open_handle(pid: int) -> int | None:
    """Return a descriptor of a process; None if it has gone.

    asyncio's own way to kill may wait for the process at the same time as asyncio does elsewhere.
    """
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _decode(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise PeerError("libvirt's helper sent what is not JSON") from None
    if not isinstance(message, dict):
        raise PeerError("libvirt's helper sent what is not an object")
    return message


def _refuse(waiting: asyncio.Future[Any], reason: AerostatError) -> None:
    if not waiting.done():
        waiting.set_exception(reason)
        waiting.exception()  # perhaps nobody waits any more; asyncio would complain of that


async def open_helper(program: Program, on_event: Callable[[DomainEvent], None]) -> HelperLink:
    """Start a helper, and return when it is connected. Raises `MissingError`, `LinkError`."""
    try:
        process = await asyncio.create_subprocess_exec(
            program.python,
            # Isolated: nothing of the manager's Python environment leads it elsewhere.
            *("-I", "-B", str(program.helper), program.uri, program.mode),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_MAX_LINE,
            start_new_session=True,  # Ctrl-C is for the manager, which then ends the helper
        )
    except OSError as error:
        raise MissingError(
            f"{program.python} cannot be run ({error.strerror}); {_GET_IT}"
        ) from error
    link = HelperLink(process)
    link.on_event = on_event
    try:
        async with asyncio.timeout(_OPEN_TIMEOUT):
            await link.ready
    except TimeoutError:
        await link.close()
        why = f"{program.uri}: libvirtd did not answer within {_OPEN_TIMEOUT:g} s"
        raise LinkError(why) from None
    except BaseException:
        await link.close()
        raise
    return link
