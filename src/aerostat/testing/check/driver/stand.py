"""A test stand: a balloon device at a socket, the guest that plugs in, and time to watch both.

One thread: everything happens in `wait`, which serves the device until something is so. Touches
the socket, the command, and the monotonic clock.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from aerostat.balloon.abi import STATS_VQ, Queue, number_queues
from aerostat.device.guest import Guest
from aerostat.device.link import Link
from aerostat.device.log import Log
from aerostat.device.loop import READ, Loop
from aerostat.device.sockets import Listener
from aerostat.testing.check.deadline import Deadline
from aerostat.testing.check.driver.command import Command
from aerostat.testing.check.driver.conversation import Conversation, TappedSocket
from aerostat.testing.check.driver.unruly_device import UnrulyDevice
from aerostat.virtio.features import has

# How often the rings are looked at for buffers that nobody told of, and how often in turn one has
# to be found lying there: a driver on a busy machine takes its time to notify.
_LOOK_SECONDS = 0.3
_LOOKS = 5


class _Notes(Log):
    """What the device has to say, kept instead of printed."""

    def __init__(self) -> None:
        super().__init__("device")
        self.lines: list[str] = []

    def __call__(self, message: str) -> None:
        self.lines.append(message)


class Stand:
    """One start of a command, and the device that it has found, until `close`.

    `features` are offered; requests on the queues of `holding` are not acknowledged from the
    beginning. `patience` is how long, in seconds, the guest may take for anything. What the command
    says goes to the end of `log`. Raises `MissingError` or `UsageError` for a command that cannot
    be started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        directory: Path,
        *,
        log: Path,
        features: int,
        patience: float,
        holding: Collection[Queue] = (),
    ) -> None:
        self.patience = patience
        self.limit: Deadline | None = None
        self.loop = Loop()
        self.notes = _Notes()
        self.guest = Guest(self.loop, self.notes, features=features)
        self.device = UnrulyDevice(features=features)
        self.device.holding.update(holding)
        self.guest.device = self.device
        self.conversation = Conversation()
        self.untold: set[Queue] = set()
        self.disconnected = False
        self._link: Link | None = None
        self._lying: Counter[tuple[Queue, int]] = Counter()
        path = directory / "balloon.socket"
        self._listener = Listener(str(path))
        try:
            self.command = Command(arguments, path, log)
        except BaseException:
            self._listener.close()
            self.loop.close()
            raise
        self._ended = os.pidfd_open(self.command.pid)
        self.loop.watch(self._ended, READ, self._command_ended)
        self.loop.watch(self._listener.fileno(), READ, self._accept)
        self.loop.call_later(_LOOK_SECONDS, self._look)

    def close(self) -> None:
        """End the guest, then the device."""
        self.command.end()
        self.hang_up()
        self._listener.close()
        self.loop.unwatch(self._ended)
        os.close(self._ended)
        self.loop.close()

    # ---- time

    def wait(self, condition: Callable[[], bool], within: float | None = None) -> bool:
        """Serve until `condition`, for at most `within` seconds (by default, our patience).

        Return whether it came true. A guest that is gone is not waited for. Raises `OutOfTime` at
        the `limit`, if there is one.
        """
        within = self.patience if within is None else within
        if self.limit is not None:
            within = self.limit.left(within)
        until = time.monotonic() + within
        alarm = self.loop.call_later(within, lambda: None)
        while not (true := condition()) and self.alive and time.monotonic() < until:
            self.loop.turn()
        alarm.cancel()
        return true

    def rest(self, seconds: float) -> None:
        """Serve for a while."""
        self.wait(lambda: False, seconds)

    # ---- the guest

    @property
    def alive(self) -> bool:
        """Whether the command runs."""
        return self.command.alive

    @property
    def connected(self) -> bool:
        """Whether a front-end is there."""
        return self._link is not None

    @property
    def at_work(self) -> bool:
        """Whether the driver has set up all the queues that its features need."""
        needed = [Queue.INFLATE, Queue.DEFLATE]
        if has(self.device.negotiated, STATS_VQ):
            needed.append(Queue.STATS)
        return self.connected and all(self.device.runs(queue) for queue in needed)

    def meet(self, within: float | None = None) -> bool:
        """Wait for a driver at work, its first statistics included; return whether there is one."""
        return self.wait(lambda: self.at_work and self._has_begun(), within)

    def _has_begun(self) -> bool:
        return not self.device.runs(Queue.STATS) or self.device.statistics_held

    def lives(self) -> bool:
        """Return whether the driver still answers: with statistics, or with another balloon."""
        if not self.alive or not self.connected:
            return False
        if self.device.runs(Queue.STATS):
            return self.ask_statistics()
        before = len(self.device.actual_writes)
        wanted = 1 if self.device.config.num_pages == 0 else self.device.config.num_pages - 1
        self.demand(wanted)
        return self.wait(lambda: len(self.device.actual_writes) > before)

    def queue_size(self, queue: Queue) -> int:
        """Return the number of descriptors of a queue that runs."""
        ring = self.device.ring(queue)
        assert ring is not None
        return ring.size

    def avail_flags(self, queue: Queue) -> int:
        """Return the flags of the avail ring of a queue that runs (virtio 1.2, 2.7.6)."""
        return self._avail_word(queue, 0)

    def event_flags(self, queue: Queue) -> int:
        """Return the flags of the driver's event structure of a packed queue (2.8.14)."""
        return self._avail_word(queue, 1)

    def _avail_word(self, queue: Queue, number: int) -> int:
        memory = self.guest.memory
        assert memory is not None
        addresses = self.conversation.addresses[self._numbers()[queue]]
        place = memory.guest.user_to_guest(addresses.available + 2 * number, 2)
        return int.from_bytes(memory.guest.read(place, 2), "little")

    def _numbers(self) -> dict[Queue, int]:
        device = self.device
        found = number_queues(device.features, device.negotiated, self.conversation.addresses)
        return {queue: number for number, queue in found.items()}

    # ---- what the device does

    def demand(self, num_pages: int) -> None:
        """Want a balloon of so many pages, and announce it."""
        self.device.demand(num_pages)
        self.announce()

    def announce(self) -> None:
        """Say that the configuration has changed, whether it has or not."""
        if self.guest.on_config_changed is not None:
            self.guest.on_config_changed()

    def notify(self) -> None:
        """Notify the driver of the queues on which the device did something."""
        if self.guest.on_notifications is not None:
            self.guest.on_notifications()

    def interrupt(self, *queues: Queue) -> None:
        """Notify the driver of these queues for nothing."""
        self.device.interrupt(*queues)
        self.notify()

    def settle(self, num_pages: int, within: float | None = None) -> bool:
        """Want a balloon of so many pages; return whether the driver came to have just that."""
        self.demand(num_pages)
        return self.wait(lambda: self.has_settled(num_pages), within)

    def has_settled(self, num_pages: int) -> bool:
        """Return whether the balloon has so many pages, by the driver's word and by our count."""
        device = self.device
        moving = device.inflating or device.deflating
        return device.config.actual == num_pages == len(device.balloon) and not moving

    def ask_statistics(self, within: float | None = None) -> bool:
        """Ask for statistics; return whether an answer came."""
        if not self.wait(lambda: self.device.statistics_held, within):
            return False
        self.device.request_statistics()
        self.notify()
        return self.wait(lambda: self.device.statistics_held, within)

    def calm(self) -> bool:
        """End whatever a check left; return whether all is as it was in the beginning."""
        self.device.written = 0
        for queue in tuple(self.device.holding):
            self.release(queue)
        return self.settle(0) and not any(self.device.broken(queue) for queue in Queue)

    def release(self, queue: Queue) -> None:
        """Acknowledge what was held on `queue`, and hold no more there."""
        self.device.release(queue)
        self.notify()

    def hang_up(self) -> None:
        """Close the connection, and wait for the next one."""
        if self._link is not None:
            self._link.close()

    # ---- the device's own affairs

    def _accept(self) -> None:
        connection = self._listener.accept()
        if connection is None:
            return
        self.loop.unwatch(self._listener.fileno())
        tapped = TappedSocket(connection)
        self.conversation = tapped.conversation
        self._link = Link(self.loop, self.guest, tapped, self._link_closed)

    def _link_closed(self) -> None:
        self._link = None
        self.disconnected = True
        self.loop.watch(self._listener.fileno(), READ, self._accept)

    def _command_ended(self) -> None:
        self.loop.unwatch(self._ended)

    def _look(self) -> None:
        """Find buffers that lie available, look after look, without a notification."""
        self.loop.call_later(_LOOK_SECONDS, self._look)
        lying = {
            (queue, self.device.requests[queue]) for queue in Queue if self.device.pending(queue)
        }
        self._lying = Counter({one: self._lying[one] + 1 for one in lying})
        self.untold |= {queue for (queue, _), looks in self._lying.items() if looks >= _LOOKS}
