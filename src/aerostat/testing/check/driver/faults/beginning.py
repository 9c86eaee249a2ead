"""Faults in how a driver begins: features, rings, configuration."""

# ruff: noqa: D103 - names say what is wrong, and that is planted where nobody has business

from typing import Any

from aerostat.balloon.abi import MUST_TELL_HOST
from aerostat.balloon.driver import BalloonDriver
from aerostat.process_guest import work
from aerostat.process_guest.link import DeviceLink
from aerostat.process_guest.rings import GuestRings
from aerostat.testing.check.driver.faults.terms import fault, replace
from aerostat.vhost_user.frontend import Frontend
from aerostat.virtio.features import VERSION_1, bit

_STRANGE = bit(7)


def _choosing(change: Any) -> None:
    """Have the driver choose what `change` makes of its features."""

    def changed(choose: Any) -> Any:
        return lambda *rest, **named: change(choose(*rest, **named))

    replace(work, "choose_features", changed)


@fault("ST-DRV-4")
def takes_a_feature_that_is_not_offered() -> None:
    def more(choose: Any) -> Any:
        return lambda self, features: choose(self, features | _STRANGE)

    replace(Frontend, "choose", more)


@fault("ST-DRV-6")
def leaves_version_1() -> None:
    _choosing(lambda features: features & ~bit(VERSION_1))


@fault("DRV-FEAT-1")
def leaves_must_tell_host() -> None:
    _choosing(lambda features: features & ~bit(MUST_TELL_HOST))


@fault("VQ-DRV-1")
def describes_its_rings_eight_bytes_off() -> None:
    def askew(plans: Any) -> Any:
        def planned(self: GuestRings, bases: Any = None) -> Any:
            return [plan._replace(descriptors=plan.descriptors + 8) for plan in plans(self, bases)]

        return planned

    replace(GuestRings, "plans", askew)


@fault("CFG-G-5")
def writes_actual_before_its_features() -> None:
    def early(bring_up: Any) -> Any:
        def bringing(self: DeviceLink) -> None:
            self._write_config(4, bytes(4))
            bring_up(self)

        return bringing

    replace(DeviceLink, "_bring_up", early)


@fault("CFG-1", "DRV-OP-1")
def reads_no_configuration() -> None:
    replace(DeviceLink, "_read_config", lambda _: lambda *_: None)


def _writing(offset: int, data: bytes) -> None:
    """Have the driver write something more with each write to the configuration space."""

    def more(take: Any) -> Any:
        def taking(self: BalloonDriver) -> list[tuple[int, bytes]]:
            writes: list[tuple[int, bytes]] = take(self)
            return [*writes, (offset, data)] if writes else writes

        return taking

    replace(BalloonDriver, "take_config_writes", more)


@fault("CFG-2")
def writes_the_command_id() -> None:
    _writing(8, b"\1\0\0\0")


@fault("CFG-G-2")
def writes_poison_val_without_the_feature() -> None:
    _writing(12, b"\1\0\0\0")


@fault("LEG-OP-2")
def writes_actual_in_two_halves() -> None:
    def halved(take: Any) -> Any:
        def taking(self: BalloonDriver) -> list[tuple[int, bytes]]:
            return [
                (offset + at, data[at : at + 2]) for offset, data in take(self) for at in (0, 2)
            ]

        return taking

    replace(BalloonDriver, "take_config_writes", halved)
