"""Faults in what a device does with statistics, and with what is offered (virtio 1.2, 5.5)."""

# ruff: noqa: D103 - names say what is wrong, and that is planted where nobody has business

from collections.abc import Iterator
from typing import Any

from aerostat.balloon.abi import STATS_VQ, Config
from aerostat.balloon.device import BalloonDevice
from aerostat.balloon.lane import Lane
from aerostat.balloon.statistics import Tag
from aerostat.device.link import Link
from aerostat.device.reclaim import Reclaim
from aerostat.testing.check.device.faults.terms import fault, replace
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.setup import RefusalError, Setup
from aerostat.virtio.chain import Chain
from aerostat.virtio.features import VERSION_1, bit, has


@fault("DEV-STATS-3")
def statistics_are_asked_for_again_and_again() -> None:
    def asking(service: Any) -> Any:
        def serving(self: BalloonDevice, budget: int) -> Iterator[Any]:
            yield from service(self, budget)
            self.request_statistics()

        return serving

    replace(BalloonDevice, "_service_statistics", asking)


def _only_if(accepted: Any) -> None:
    """Have buffers vanish whose statistics are not as `accepted` wants them."""

    def picking(statistics: Any) -> Any:
        def parsing(self: BalloonDevice, lane: Lane, chain: Chain) -> dict[int, int]:
            found: dict[int, int] = statistics(self, lane, chain)
            if not accepted(found):
                lane.chain = None
            return found

        return parsing

    replace(BalloonDevice, "_statistics", picking)


@fault("DEV-STATS-1")
def buffers_with_unknown_tags_vanish() -> None:
    _only_if(lambda found: all(tag <= max(Tag) for tag in found))


@fault("DEV-STATS-2")
def buffers_out_of_order_vanish() -> None:
    _only_if(lambda found: list(found) == sorted(found))


@fault("BAD-DEV-2")
def statistics_that_are_too_long_end_it() -> None:
    def strict(statistics: Any) -> Any:
        def parsing(self: BalloonDevice, lane: Lane, chain: Chain) -> dict[int, int]:
            if chain.readable_length > 2560:
                raise SystemExit("too many statistics")
            made: dict[int, int] = statistics(self, lane, chain)
            return made

        return parsing

    replace(BalloonDevice, "_statistics", strict)


@fault("ST-DEV-5")
def version_1_is_not_offered() -> None:
    def older(init: Any) -> Any:
        def making(self: Setup, offered: int, count: int) -> None:
            init(self, offered & ~bit(VERSION_1), count)

        return making

    replace(Setup, "__init__", older)


@fault("ST-DEV-4")
def statistics_cannot_be_left_out() -> None:
    replace(
        BalloonDevice,
        "accept",
        lambda accept: lambda self, features: has(features, STATS_VQ) and accept(self, features),
    )


@fault("ST-DEV-4")
def features_are_taken_once() -> None:
    taken: list[int] = []

    def once(accept: Any) -> Any:
        def accepting(self: BalloonDevice, features: int) -> bool:
            again = features in taken
            taken.append(features)
            return not again and bool(accept(self, features))

        return accepting

    def another(init: Any) -> Any:
        def meeting(self: Link, *rest: Any) -> None:
            taken.clear()
            init(self, *rest)

        return meeting

    replace(BalloonDevice, "accept", once)
    replace(Link, "__init__", another)


@fault("LEG-FEAT-2", "DEV-OP-2")
def pages_are_believed_to_be_told_of() -> None:
    """Who need not tell uses pages before they are taken back: they must not be taken then."""
    replace(Reclaim, "deflate", lambda _: lambda self, event: self.inflate(event, told=True))


@fault("CFG-G-4")
def the_configuration_waits_for_features() -> None:
    def later(check: Any) -> Any:
        def checking(self: Backend, part: Any) -> None:
            if not self._setup.features:
                raise RefusalError("no features yet")
            check(self, part)

        return checking

    replace(Backend, "_check_config", later)


@fault("CFG-1")
def there_is_no_poison_val() -> None:
    def shorter(check: Any) -> Any:
        def checking(self: Backend, part: Any) -> None:
            if self._setup.features and part.offset + len(part.data) > 12:
                raise RefusalError("there is no more")
            check(self, part)

        return checking

    replace(Backend, "_check_config", shorter)


@fault("USE-DEV-3", "VU-DEV-8")
def drivers_write_the_target() -> None:
    def all_of_it(write: Any) -> Any:
        def writing(self: Config, offset: int, data: bytes, *, poison: bool = False) -> None:
            if offset == 0 and len(data) >= 4:
                self.num_pages = int.from_bytes(data[:4], "little")
            write(self, offset, data, poison=poison)

        return writing

    replace(Config, "write", all_of_it)


@fault("USE-DEV-4", "VU-DEV-8")
def actual_reads_as_zero() -> None:
    def hidden(read: Any) -> Any:
        def reading(self: Config, offset: int, size: int) -> bytes:
            space = bytearray(read(self, 0, 16))
            space[4:8] = bytes(4)
            return bytes(space[offset : offset + size]).ljust(size, b"\0")

        return reading

    replace(Config, "read", hidden)


@fault("LEG-CFG-1")
def legacy_drivers_have_a_big_endian_configuration() -> None:
    def swapped(read: Any) -> Any:
        def reading(self: BalloonDevice, offset: int, size: int) -> bytes:
            data: bytes = read(self, offset, size)
            legacy = self.negotiated and not has(self.negotiated, VERSION_1)
            return data[::-1] if legacy and size == 4 else data

        return reading

    replace(BalloonDevice, "read_config", swapped)
