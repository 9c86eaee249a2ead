"""The event loop of a device process: descriptors, timers, and long work in small turns.

One thread. Whoever has much to do does a little, asks for another turn with `call_soon`, and every
descriptor that is ready is served before that turn comes. Touches an epoll and the monotonic
clock; standard library only. asyncio would weigh more than all the rest of the process. And a
process that wakes up once a second finds none of its code in any cache, so that each function
that `selectors` would call on the way is dear.
"""

import collections
import contextlib
import heapq
import select
import time
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT

# epoll counts milliseconds in 31 bits, and a timer may be set for 136 years from now.
_MAX_PATIENCE = 86400.0

Action = Callable[[], None]


class Timer:
    """An action at a moment, in monotonic seconds; `cancel` takes it back.

    `action` is None once it was done or cancelled.
    """

    __slots__ = ("action", "deadline")

    def __init__(self, deadline: float, action: Action) -> None:
        self.deadline = deadline
        self.action: Action | None = action

    def __lt__(self, other: "Timer") -> bool:
        return self.deadline < other.deadline

    @property
    def pending(self) -> bool:
        """Whether the action is still to come."""
        return self.action is not None

    def cancel(self) -> None:
        """Never do it; without effect once it was done."""
        self.action = None

    def fire(self) -> None:
        """Do it, unless it was cancelled or done."""
        action, self.action = self.action, None
        if action is not None:
            action()


class Loop:
    """Runs actions until `stop`: those of ready descriptors, of due timers, and the next turns."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._actions: dict[int, Action] = {}
        self._timers: list[Timer] = []
        self._turns: collections.deque[Action] = collections.deque()
        self._running = False

    def watch(self, descriptor: int, events: int, action: Action) -> None:
        """Call `action` whenever `descriptor` is ready; replaces what was asked for it before.

        Raises `OSError` for a descriptor that cannot be waited for, such as a regular file.
        """
        if descriptor in self._actions:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._actions[descriptor] = action

    def unwatch(self, descriptor: int) -> None:
        """Forget `descriptor`; to be done before it is closed. Unknown ones are no matter."""
        if self._actions.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):  # it was closed before
                self._epoll.unregister(descriptor)

    def call_later(self, seconds: float, action: Action) -> Timer:
        """Call `action` once after so many seconds."""
        timer = Timer(time.monotonic() + seconds, action)
        heapq.heappush(self._timers, timer)
        return timer

    def call_soon(self, action: Action) -> None:
        """Call `action` once, after all that is ready now has been served."""
        self._turns.append(action)

    def run(self) -> None:
        """Serve until `stop`."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        """Leave `run` after the actions of this turn."""
        self._running = False

    def turn(self) -> None:
        """Wait for something to do, and do each thing that is due once."""
        actions = self._actions
        ready = [(event[0], actions.get(event[0])) for event in self._epoll.poll(self._patience())]
        for descriptor, action in ready:
            # An earlier action of this round may have unwatched, or closed and replaced, this one.
            if action is not None and actions.get(descriptor) is action:
                action()
        if self._timers:
            self._fire_timers()
        for _ in range(len(self._turns)):
            self._turns.popleft()()

    def close(self) -> None:
        """Close the loop's own descriptor."""
        self._epoll.close()

    def _patience(self) -> float | None:
        timers = self._timers
        while timers and timers[0].action is None:
            heapq.heappop(timers)
        if self._turns:
            return 0.0
        if not timers:
            return None
        wait = timers[0].deadline - time.monotonic()
        return 0.0 if wait < 0.0 else min(wait, _MAX_PATIENCE)

    def _fire_timers(self) -> None:
        timers, now = self._timers, time.monotonic()
        while timers and timers[0].deadline <= now:
            heapq.heappop(timers).fire()
