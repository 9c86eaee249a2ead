"""How fast a counter of the host grows (no I/O, no clock)."""

from collections import deque

# Long enough to be smooth, short enough to be news: a PSI trigger looks at such a window too.
_WINDOW = 2.0
# Between two readings closer than this a counter tells little but noise.
_LEAST = 0.01


class Rate:
    """The growth a second of a counter, over about the last `window` seconds."""

    __slots__ = ("_points", "_window")

    def __init__(self, window: float = _WINDOW) -> None:
        self._window = window
        self._points: deque[tuple[float, float]] = deque()

    def update(self, now: float, counter: float | None) -> float | None:
        """Take note of what the counter is at `now`; return the rate, None until it is known.

        A counter that is gone, or smaller than it was, starts afresh.
        """
        points = self._points
        if counter is None or (points and (counter < points[-1][1] or now < points[-1][0])):
            points.clear()
        if counter is None:
            return None
        if not points or now - points[-1][0] >= _LEAST:
            points.append((now, counter))
        # The first point is the last one that is a whole window old.
        while len(points) > 2 and now - points[1][0] >= self._window:
            points.popleft()
        began, least = points[0]
        elapsed = points[-1][0] - began
        return (points[-1][1] - least) / elapsed if elapsed else None
