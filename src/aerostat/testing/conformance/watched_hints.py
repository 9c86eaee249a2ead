"""What a driver does wrong on its hinting queue, by the statements' ids (virtio 1.2, 5.5.6.5.1).

Pure: it is shown each buffer in the order in which the driver made it available.
"""

from collections.abc import Iterator

from aerostat.balloon.abi import CMD_ID_STOP
from aerostat.balloon.hinting import CMD_ID_SIZE
from aerostat.balloon.statistics import Byteorder

Fault = tuple[str, str]  # the statement's id, and words


class HintWatch:
    """Looks on; `hinted` are the (address, length) that came under the current id."""

    def __init__(self) -> None:
        self.hinted: list[tuple[int, int]] = []
        self._round = CMD_ID_STOP  # the id under which the driver hints
        self._sent: set[int] = set()

    def reset(self) -> None:
        """Begin with a new driver."""
        self.__init__()  # type: ignore[misc]

    def command(self, payload: bytes, byteorder: Byteorder) -> Iterator[Fault]:
        """Look at what is readable of a buffer."""
        if len(payload) != CMD_ID_SIZE:
            yield "DRV-HINT-1", f"a command id of {len(payload)} bytes"
            return
        said = int.from_bytes(payload, byteorder)
        if said == CMD_ID_STOP:
            self._round = CMD_ID_STOP
            return
        if self._round != CMD_ID_STOP:
            yield "DRV-HINT-6", f"{said:#x} after {self._round:#x} without STOP"
        if said in self._sent:
            yield "DRV-HINT-3", f"{said:#x} a second time"
        self._sent.add(said)
        self._round = said

    def hint(self, ranges: tuple[tuple[int, int], ...], current: int) -> Iterator[Fault]:
        """Look at what is writable of a buffer, while the device's id is `current`."""
        if self._round == CMD_ID_STOP:
            yield "DRV-HINT-2", "hints without a command id"
        elif self._round == current:
            self.hinted += ranges
