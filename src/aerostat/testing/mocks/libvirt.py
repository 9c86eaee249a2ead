"""A libvirt without libvirt: what its helper would say, faults included, is written down here.

`FakeLibvirt` stands behind a real `LibvirtConnector`, which starts `libvirt_program` in place of
its helper. Touches files in one directory.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.testing.mocks import libvirt_program
from aerostat.units import GIB, KIB, MIB

_XML = """\
<domain type='kvm'>
  <name>{name}</name>
  <metadata>{metadata}</metadata>
  <devices>
    <memballoon model='{model}' autodeflate='on'>
      <stats period='{period}'/>
      <alias name='balloon0'/>
    </memballoon>
  </devices>
</domain>
"""


class FakeLibvirt:
    """Domains and faults; changes are seen with the next request.

    `faults` is what goes wrong, by call: see `libvirt_program.FAULTS`. `first` is what the
    helper says before all else, and `begin` whether it connects; `events` are sent before every
    answer. `mode` is the connection that is given, in place of what was asked for.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "scenario.json"
        self._log = directory / "requests"
        self._log.touch()
        self.domains: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, str] = {}
        self.answers: dict[str, Any] = {}
        self.first: list[Any] = []
        self.events: list[Any] = []
        self.begin = True
        self.mode: str | None = None
        self.write()

    def connector(self, **options: Any) -> LibvirtConnector:
        """Return a connector to it."""
        program = Path(libvirt_program.__file__)
        return LibvirtConnector(str(self._path), python=sys.executable, helper=program, **options)

    def add(
        self,
        name: str,
        *,
        size: int = GIB,
        period: int = 2,
        model: str = "virtio",
        metadata: str = "",
    ) -> str:
        """Add a running domain; return its UUID."""
        uuid = f"uuid-of-{name}"
        xml = _XML.format(name=name, metadata=metadata, model=model, period=period)
        record = {
            "state.state": 1,
            "balloon.maximum": size // KIB,
            "balloon.current": size // KIB,
            "balloon.rss": 64 * MIB // KIB,
            "balloon.last-update": 1000,
            "balloon.unused": 100 * MIB // KIB,
            "balloon.available": 900 * MIB // KIB,
            "balloon.usable": 200 * MIB // KIB,
            "balloon.major_fault": 7,
        }
        self.domains[uuid] = {"name": name, "number": 1, "xml": xml, "record": record}
        self.write()
        return uuid

    def record(self, uuid: str, **changes: Any) -> None:
        """Change what the bulk call says of a domain's balloon; None takes a figure away."""
        record = self.domains[uuid]["record"]
        for name, value in changes.items():
            key = f"balloon.{name.replace('last_update', 'last-update')}"
            record.pop(key, None)
            if value is not None:
                record[key] = value
        self.write()

    def hold(self, uuid: str) -> None:
        """Have another call hold the domain: only its sizes are told."""
        sizes = ("state.state", "balloon.maximum", "balloon.current")
        record = self.domains[uuid]["record"]
        self.domains[uuid]["record"] = {key: record[key] for key in sizes}
        self.write()

    def fail(self, **faults: str) -> None:
        """Have calls go wrong, and no others."""
        self.faults = faults
        self.write()

    def requests(self, call: str) -> list[dict[str, Any]]:
        """Return what was asked for by `call` until now."""
        requests = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [request for request in requests if request["do"] == call]

    def write(self) -> None:
        """Write the scenario down, for the next request."""
        scenario = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({**scenario, "log": str(self._log)}))
        new.replace(self._path)


async def read(connector: LibvirtConnector, uuid: str, limit: float = 5.0) -> Any:
    """Sample one guest, whatever comes of it."""
    key = f"libvirt:{uuid}"
    return (await connector.sample([key], limit))[key]


async def reads(connector: LibvirtConnector, uuid: str) -> Reading:
    """Sample one guest until it can be read: a helper may be starting again."""
    async with asyncio.timeout(20):
        while True:
            answer = await read(connector, uuid, 1.0)
            if isinstance(answer, Reading):
                return answer
            await asyncio.sleep(0.01)
