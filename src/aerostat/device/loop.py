"""The event loop of a device process: descriptors, timers, and long work in small turns.

One thread. Whoever has much to do does a little, asks for another turn with `call_soon`, and every
descriptor that is ready is served before that turn comes. Touches a selector and the monotonic
clock; standard library only (asyncio would weigh more than all the rest of the process).
"""

import collections
import heapq
import selectors
import time
from collections.abc import Callable

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

# epoll counts milliseconds in 31 bits, and a timer may be set for 136 years from now.
_MAX_PATIENCE = 86400.0

Action = Callable[[], None]


class Timer:
    """An action at a moment; `cancel` takes it back."""

    __slots__ = ("_action", "_deadline")

    def __init__(self, deadline: float, action: Action) -> None:
        self._deadline = deadline
        self._action: Action | None = action

    def __lt__(self, other: "Timer") -> bool:
        return self._deadline < other._deadline

    @property
    def deadline(self) -> float:
        """When it is due, in monotonic seconds."""
        return self._deadline

    @property
    def pending(self) -> bool:
        """Whether the action is still to come."""
        return self._action is not None

    def cancel(self) -> None:
        """Never do it; without effect once it was done."""
        self._action = None

    def fire(self) -> None:
        """Do it, unless it was cancelled or done."""
        action, self._action = self._action, None
        if action is not None:
            action()


class Loop:
    """Runs actions until `stop`: those of ready descriptors, of due timers, and the next turns."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []
        self._turns: collections.deque[Action] = collections.deque()
        self._running = False

    def watch(self, descriptor: int, events: int, action: Action) -> None:
        """Call `action` whenever `descriptor` is ready; replaces what was asked for it before.

        Raises `OSError` for a descriptor that cannot be waited for, such as a regular file.
        """
        if descriptor in self._selector.get_map():
            self._selector.modify(descriptor, events, action)
        else:
            self._selector.register(descriptor, events, action)

    def unwatch(self, descriptor: int) -> None:
        """Forget `descriptor`; to be done before it is closed. Unknown ones are no matter."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

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
        for key, _ in self._selector.select(self._patience()):
            # An earlier action of this round may have unwatched, or closed and replaced, this one.
            current = self._selector.get_map().get(key.fd)
            if current is not None and current.data is key.data:
                key.data()
        self._fire_timers()
        for _ in range(len(self._turns)):
            self._turns.popleft()()

    def close(self) -> None:
        """Close the selector's own descriptor."""
        self._selector.close()

    def _patience(self) -> float | None:
        while self._timers and not self._timers[0].pending:
            heapq.heappop(self._timers)
        if self._turns:
            return 0.0
        if not self._timers:
            return None
        return min(max(0.0, self._timers[0].deadline - time.monotonic()), _MAX_PATIENCE)

    def _fire_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].deadline <= now:
            heapq.heappop(self._timers).fire()
