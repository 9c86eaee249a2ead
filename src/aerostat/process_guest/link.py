"""A guest's link to a vhost-user balloon device, from its connection to its end.

What the VMM and virtio-pci are to a guest: this brings the device up for the guest's driver
(`work`), stops it and starts it again (virtio 1.2, 3.1 and 5.5.5; "Starting and stopping rings" of
vhost-user). Touches sockets, descriptors and guest memory through the rooms beside it. Standard
library only.

One link is one guest. Any number of them share an event loop and a process; one that loses its
device says so and disturbs no other. ::

    loop = Loop()
    memory = GuestMemoryFile([(0, 256 * MIB)])
    link = DeviceLink(loop, "/run/guest.vhost", memory, kernel)
    link.wait_for(State.RUNNING, within=10.0)
    while True:
        link.run_once(0.1)       # answers the device; or loop.turn(), for all guests of the loop
        kernel.step()            # may call link.relieve(...) and link.report(...)
"""

import time
from collections.abc import Callable, Mapping, Sequence

from aerostat.balloon.driver import BalloonDriver
from aerostat.device.loop import Loop
from aerostat.errors import AerostatError, LinkError, PeerError, UsageError
from aerostat.process_guest import work
from aerostat.process_guest.connection import Connection
from aerostat.process_guest.interface import RESERVED_SIZE, DriverOptions, Kernel, State, checked
from aerostat.process_guest.memory import GuestMemoryFile
from aerostat.process_guest.work import BalloonWork
from aerostat.vhost_user import outcomes
from aerostat.vhost_user.messages import ProtocolFeature, Request

# Of the configuration space, the driver reads `num_pages` and `actual` (5.5.4), and with
# FREE_PAGE_HINT the command id.
_CONFIG_SIZE, _CONFIG_SIZE_WITH_HINTS = 8, 12
_NUM_PAGES, _CMD_ID = slice(0, 4), slice(8, 12)
_ACTUAL_OFFSET, _POISON_OFFSET = 4, 12

_COUNTERS = (
    *work.COUNTERS,
    "config_changes",  # announcements of the device
    "refused_config_writes",
    "unexpected_bases",  # rings that the device would start elsewhere than where it stopped
)


class DeviceLink:
    """A guest's link to the device at `path`; starts at once, see `state`.

    `timeout` is how long, in seconds, the device may take to answer one message. `on_change` is
    called with every new state. Raises `UsageError` for a driver or a memory that cannot be.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        memory: GuestMemoryFile,
        kernel: Kernel,
        options: DriverOptions | None = None,
        *,
        timeout: float = 10.0,
        on_change: Callable[[State], None] | None = None,
    ) -> None:
        self.state = State.STARTING
        self.error: AerostatError | None = None
        self.options = checked(options or DriverOptions())
        self.counters = dict.fromkeys(_COUNTERS, 0)
        self._loop = loop
        self._path = path
        self._memory = memory
        self._kernel = kernel
        self._timeout = timeout
        self._on_change = on_change
        self._offered = 0
        self._work: BalloonWork | None = None
        self._bases: Mapping[int, int] | None = None
        self._when_stopped: Callable[[], None] | None = None
        self._reading_config = False
        self._config_is_stale = False
        self._config_writes = 0
        if memory.memory.regions[0].size < RESERVED_SIZE:
            raise UsageError(f"the first region has less than {RESERVED_SIZE} bytes for the link")
        self._connection = self._connect()

    # ---- for whoever runs the guest

    @property
    def driver(self) -> BalloonDriver | None:
        """The guest's driver, while it has one."""
        return None if self._work is None else self._work.driver

    @property
    def balloon_size(self) -> int:
        """The bytes that the balloon holds."""
        return 0 if self.driver is None else self.driver.balloon_size

    def run_once(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for something to do, and do it, for the whole loop.

        Raises the error by which this link was lost.
        """
        timer = self._loop.call_later(timeout, lambda: None)
        self._loop.turn()
        timer.cancel()
        if self.error is not None:
            raise self.error

    def wait_for(self, state: State, within: float) -> None:
        """Run the loop until this link is in `state`. Raises `LinkError` after `within` seconds."""
        end = time.monotonic() + within
        while self.state is not state:
            left = end - time.monotonic()
            if left <= 0:
                raise LinkError(f"the link is {self.state.value}, not {state.value}")
            self.run_once(left)

    def pause(self) -> None:
        """Stop the rings as a VMM does that stops the VM; what the driver has, it keeps."""
        self._stop(lambda: self._become(State.PAUSED))

    def resume(self) -> None:
        """Go on after `pause`."""
        self._require(State.PAUSED)
        self._bring_up()

    def unload(self) -> None:
        """Take the driver away, as a reboot does: what is in the balloon is the guest's again."""
        self._stop(self._unload)

    def load(self, options: DriverOptions | None = None) -> None:
        """Start a new driver after `unload`, with other `options` if there are any."""
        self._require(State.UNLOADED)
        self.options = checked(options or self.options)
        self._load()

    def reset(self) -> None:
        """Take the driver away and start it afresh."""
        self._stop(self._reload)

    def reconnect(self) -> None:
        """Connect again after the device was lost; the driver goes on where it was.

        A request that the old device had in hand is found again by the new one, which also
        learns how large the balloon is.
        """
        self._require(State.LOST)
        self.error = None
        self._become(State.STARTING)
        self._connection = self._connect()

    def relieve(self, count: int) -> None:
        """Take up to `count` pages from the balloon for want of memory (DEFLATE_ON_OOM).

        They come by `Kernel.give_back`, once the device has been told.
        """
        if self._work is not None:
            self._work.relieve(count)

    def report(self, ranges: Sequence[tuple[int, int]]) -> bool:
        """Tell the device of free `ranges` (address, length in bytes); false: not now.

        They are not used until `Kernel.reported`.
        """
        return self._work is not None and self._work.report(ranges)

    def close(self) -> None:
        """Hang up and let go of the guest's memory, which stays."""
        self._connection.close()
        if self._work is not None:
            self._work.close()
            self._work = None
        self._become(State.CLOSED)

    # ---- coming and going

    def _become(self, state: State) -> None:
        self.state = state
        if self._on_change is not None:
            self._on_change(state)

    def _require(self, *states: State) -> None:
        if self.state not in states:
            raise UsageError(f"not now: the link is {self.state.value}")

    def _connect(self) -> Connection:
        self._reading_config = self._config_is_stale = False
        self._config_writes = 0
        return Connection(
            self._loop,
            self._path,
            timeout=self._timeout,
            on_outcome=self._happened,
            on_config_changed=self._config_changed,
            on_lost=self._lost,
        )

    def _load(self) -> None:
        """Start a new driver."""
        self._work = BalloonWork(
            self._loop,
            self._memory,
            self._kernel,
            self.options,
            offered=self._offered,
            counters=self.counters,
            on_config_writes=self._write_configs,
            on_broken=self._broken,
        )
        self._bases = None
        self._bring_up()

    def _bring_up(self, *, again: bool = False) -> None:
        """Say all that a device must know to run the driver's rings; `again`: another device."""
        assert self._work is not None
        self._become(State.STARTING)
        frontend = self._connection.frontend
        plans = self._work.plans(self._bases)
        regions = self._memory.descriptions
        try:
            frontend.choose(self._work.driver.features)
            if again:
                self._tell_again()
            self._write_configs()
            frontend.share(regions, [self._memory.descriptor] * len(regions))
            frontend.describe(plans)
            frontend.enable([plan.ring for plan in plans])
        except UsageError as error:  # it cannot be told of so many regions, or of this byte order
            self._give_up(LinkError(str(error), retryable=False))
            return
        self._read_config()

    def _tell_again(self) -> None:
        """Tell the device what the driver has told another one: its poison, its balloon's size."""
        assert self._work is not None
        driver = self._work.driver
        if driver.poison is not None:
            self._write_config(_POISON_OFFSET, driver.poison.to_bytes(4, "little"))
        self._write_config(_ACTUAL_OFFSET, driver.actual.to_bytes(4, "little"))

    def _stop(self, then: Callable[[], None]) -> None:
        """Stop the rings, if they run, and go on with `then`."""
        self._require(State.RUNNING, State.PAUSED)
        if self.state is State.PAUSED:
            then()
            return
        assert self._work is not None
        self._when_stopped = then
        self._work.rest()
        self._become(State.STOPPING)
        self._connection.frontend.stop(self._work.rings.numbers.values())
        self._connection.flush()

    def _stopped(self, bases: Mapping[int, int]) -> None:
        assert self._work is not None
        rings = self._work.rings
        rings.close_notifiers()
        self._bases = bases
        expected = rings.bases()
        self.counters["unexpected_bases"] += sum(bases[n] != expected[n] for n in expected)
        then, self._when_stopped = self._when_stopped, None
        if then is not None:
            then()

    def _unload(self) -> None:
        assert self._work is not None
        frontend = self._connection.frontend
        if frontend.agreed(ProtocolFeature.RESET_DEVICE):
            # Not every back-end has this, and none needs it to begin afresh; but one that has
            # forgets the old driver before there is a new one.
            frontend.reset()
            self._connection.flush()
        self._work.end()
        self._work = None
        self._become(State.UNLOADED)

    def _reload(self) -> None:
        self._unload()
        self._load()

    def _lost(self, error: AerostatError) -> None:
        if self._work is not None:
            self._work.rest()
            self._work.rings.close_notifiers()
        self._when_stopped = None
        self.error = error
        self._become(State.LOST)

    def _give_up(self, error: AerostatError) -> None:
        self._connection.close()
        self._lost(error)

    def _broken(self, problem: str) -> None:
        self._give_up(PeerError(f"the device broke the {problem}"))

    # ---- the conversation

    def _happened(self, outcome: outcomes.Outcome) -> None:
        match outcome:
            case outcomes.Negotiated(features):
                self._negotiated(features)
            case outcomes.Enabled():
                self._enabled()
            case outcomes.ConfigRead(_, data):
                self._config_read(data)
            case outcomes.Stopped(bases):
                self._stopped(bases)
            case outcomes.ConfigWritten():
                self._config_written()
            case outcomes.Refused(Request.SET_CONFIG):
                self.counters["refused_config_writes"] += 1
                self._config_written()
            case outcomes.Refused(request):
                self._give_up(PeerError(f"the device refused {Request(request).name}"))
            case _:
                pass  # a step on the way to one of these

    def _negotiated(self, offered: int) -> None:
        self._offered = offered
        if self._work is None:
            self._load()
            return
        driver = self._work.driver
        missing = driver.features & ~offered
        if missing:
            self._give_up(LinkError(f"the device lacks features {missing:#x}", retryable=False))
            return
        self._bases = None
        self._bring_up(again=True)

    def _enabled(self) -> None:
        working = self._work
        assert working is not None
        self._become(State.RUNNING)
        if self.state is State.RUNNING:  # whoever heard of it may have closed the link
            working.run()

    def _write_config(self, offset: int, data: bytes) -> None:
        self._config_writes += 1
        self._connection.frontend.write_config(offset, data)
        self._connection.flush()

    def _write_configs(self) -> None:
        """Write what the driver wants written, once the device has taken what came before.

        Requests may come back faster than writes are acknowledged; then the driver has only the
        last of several sizes to tell (5.5.6.2.1).
        """
        if self._work is not None and not self._config_writes:
            for offset, data in self._work.driver.take_config_writes():
                self._write_config(offset, data)

    def _config_written(self) -> None:
        self._config_writes -= 1
        self._write_configs()

    def _config_changed(self) -> None:
        self.counters["config_changes"] += 1
        self._read_config()

    def _read_config(self) -> None:
        """Read the configuration, once for however many say that it has changed."""
        if self._reading_config:
            self._config_is_stale = True
            return
        self._reading_config = True
        hints = self.driver is not None and self.driver.hints is not None
        size = _CONFIG_SIZE_WITH_HINTS if hints else _CONFIG_SIZE
        self._connection.frontend.read_config(0, size)
        self._connection.flush()

    def _config_read(self, data: bytes) -> None:
        self._reading_config = False
        if self._config_is_stale:
            self._config_is_stale = False
            self._read_config()
        if self._work is not None:
            num_pages, cmd_id = (int.from_bytes(data[at], "little") for at in (_NUM_PAGES, _CMD_ID))
            self._work.config_changed(num_pages, cmd_id)
