"""What a monitor sends: the QMP session first, then the balloons that believe its answers."""

import asyncio
import atexit
import json
import selectors
from typing import Any, cast

from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.balloons import find_balloon, find_name
from aerostat.hypervisors.qmp.link import Ask, QmpLink, RefusedError
from aerostat.qmp.client import ClientSession, Event, Failure, Ready, Reply
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import json_values
from aerostat.testing.fuzz.targets.turning import TURNS

_WORDS = (
    *("QMP", "version", "qemu", "major", "minor", "micro", "package", "capabilities"),
    *("return", "error", "class", "desc", "event", "data", "timestamp", "id", "seconds"),
    *("stats", "last-update", "stat-free-memory", "stat-total-memory", "unknown", "actual"),
    *("base-memory", "plugged-memory", "sampled-at", "max-size", "guest-size", "held", "fresh"),
    *("name", "type", "rd_bytes", "rd_operations", "status", "running", "dev-features"),
    *("BALLOON_CHANGE", "STOP", "RESUME", "RESET", "DEVICE_DELETED", "aerostat-sample"),
    *("child<virtio-balloon-pci>", "child<vfio-pci>", "hugetlb", "guest-features", "statuses"),
)
_FIGURES = {"stat-free-memory": 1 << 27, "stat-total-memory": 1 << 28, "stat-swap-in": 0}
_CHILDREN = [
    {"name": "type", "type": "string"},
    {"name": "balloon0", "type": "child<virtio-balloon-pci>"},
]
_SOUND: dict[str, Any] = {
    "query-commands": [{"name": "query-balloon"}, {"name": "balloon"}],
    "query-name": {"name": "one"},
    "query-status": {"running": True, "status": "running"},
    "query-balloon": {"actual": 1 << 28},
    "query-memory-size-summary": {"base-memory": 1 << 28, "plugged-memory": 0},
    "query-blockstats": [{"stats": {"rd_bytes": 5, "rd_operations": 1}}],
    "query-memdev": [{"id": "ram0"}],
    "qom-list": _CHILDREN,
    "guest-stats": {"stats": _FIGURES, "last-update": 1_800_000_000},
    "guest-stats-polling-interval": 0,
    "x-query-virtio-status": {
        "status": {"statuses": ["VIRTIO_CONFIG_S_DRIVER_OK: ready"]},
        "guest-features": {"dev-features": ["VIRTIO_BALLOON_F_STATS_VQ: statistics"]},
    },
    "aerostat-sample": {
        "stats": {**_FIGURES, "unknown": {"77": 1}},
        "sampled-at": 1.0,
        "fresh": True,
        "max-size": 1 << 28,
        "guest-size": 1 << 28,
        "target-size": 1 << 28,
        "held": 1 << 20,
        "block-reads": 1 << 20,
        "counters": {},
    },
}
_EVENTS = ("BALLOON_CHANGE", "STOP", "RESUME", "RESET", "DEVICE_DELETED")


class _Link:
    """In the place of a connection: answers what a case says."""

    version = (7, 2, 0)  # which is asked all there is to ask

    def __init__(self, source: Source, *, ours: bool) -> None:
        self._source = source
        self._ours = ours

    async def try_ask(self, *asks: Ask) -> list[Any]:
        return [self._answer(one) for one in asks]

    async def ask(self, *asks: Ask) -> list[Any]:
        answers = await self.try_ask(*asks)
        for answer in answers:
            if isinstance(answer, Failure):
                raise RefusedError(answer)
        return answers

    def peer_pid(self) -> int | None:
        return None

    def _answer(self, ask: Ask) -> Any:
        source = self._source
        arguments = ask.arguments or {}
        sound = _SOUND.get(arguments.get("property", ask.name), {})
        if ask.name == "query-commands" and self._ours:
            sound = [{"name": "aerostat-sample"}]
        kind = source.byte()
        if kind >= 0xFC:
            raise LinkError("gone")
        if kind >= 0xF0:
            return Failure(1, "GenericError", "no")
        if kind >= 0xA0:
            return json_values.spoil(source, sound, _WORDS, 1 + source.below(3))
        return sound


class _Hasty(selectors.SelectSelector):
    """Waits for nothing."""

    def select(self, timeout: float | None = None) -> list[Any]:
        self.waited += timeout or 0.0
        return []

    waited = 0.0


class _HastyLoop(asyncio.SelectorEventLoop):
    """A loop on which whoever sleeps wakes up at once, as if the time had passed."""

    def __init__(self) -> None:
        self._hasty = _Hasty()
        super().__init__(self._hasty)

    def time(self) -> float:
        return self._hasty.waited


def run(case: bytes) -> None:
    """Play a monitor, either to the session or to the balloons behind it."""
    source = Source(case)
    if source.chance(40):
        _converse(source)
        return
    loop = _loop()
    link = cast("QmpLink", _Link(source, ours=source.chance(30)))
    try:
        loop.run_until_complete(_visit(source, link))
    except AerostatError:
        return


_LOOPS: list[_HastyLoop] = []


def _loop() -> _HastyLoop:
    if not _LOOPS:
        _LOOPS.append(_HastyLoop())
        atexit.register(_LOOPS[0].close)
    return _LOOPS[0]


async def _visit(source: Source, link: QmpLink) -> None:
    name = await find_name(link)
    assert name is None or name.isprintable()
    balloon = await find_balloon(link)
    while True:
        try:
            reading = await balloon.sample(link, "key", 0.0)
            _check(reading)
            (await balloon.examine(link, reading)).mending.get("driver")
            await balloon.set_target(link, source.number(53))
            await balloon.release(link)
        except AerostatError:
            pass
        if not source.left:
            return
        data = json_values.spoil(source, {"actual": 1 << 27}, _WORDS, source.below(2))
        if isinstance(data, dict):
            balloon.event(Event(json_values.word(source, _EVENTS), data))


def _check(reading: Reading) -> None:
    assert 0 <= reading.guest_size <= reading.max_size <= 2 << 53
    assert reading.sampled_at is None or reading.sampled_at <= reading.taken_at
    for tag, figure in reading.statistics.items():
        assert 0 <= tag <= 0xFFFF
        assert 0 <= figure < 1 << 64
    assert reading.held is None or 0 <= reading.held <= 1 << 53


def _converse(source: Source) -> None:
    session = ClientSession(1 << 16)
    greeting = {
        "QMP": {
            "version": {"qemu": {"major": 8, "minor": 2, "micro": 0}, "package": "p"},
            "capabilities": [],
        }
    }
    waiting: set[int] = set()
    _hear(source, session, greeting, waiting)
    while source.left:
        for line in session.data_to_send().splitlines():
            waiting.add(json.loads(line)["id"])
        number = min(waiting, default=0)
        answer: dict[str, Any] = {"return": {}, "id": number}
        if source.chance(20):
            answer = {"error": {"class": "GenericError", "desc": "d"}, "id": number}
        elif source.chance(20):
            answer = {"event": source.choose(_EVENTS), "data": {"actual": 1}}
        _hear(source, session, answer, waiting)
        if session.ready and source.chance(50):
            session.command("query-balloon", None)


def _hear(source: Source, session: ClientSession, sound: Any, waiting: set[int]) -> None:
    if source.chance(20):
        sound = json_values.spoil(source, sound, _WORDS, 1 + source.below(2))
    data = json_values.text(source, sound) + (b"\r\n" if not source.chance(3) else b"")
    for piece in source.cut(data) if source.chance(10) else [data]:
        with TURNS:
            heard = session.receive(piece)
        for message in heard:
            match message:
                case Reply(number) | Failure(number):
                    waiting.remove(number)
                case Ready(version):
                    assert session.ready
                    assert all(type(part) in (int, bool) for part in version)
                    waiting.discard(0)
                case Event(name, about):
                    assert isinstance(name, str)
                    assert isinstance(about, dict)


TARGET = Target("monitor", "what a QMP monitor sends", run)
