"""A device's event loop in which no time passes of itself, and nothing is waited for. Pure."""

from aerostat.device.loop import Action, Loop, Timer


class StillLoop(Loop):
    """Takes timers, and lets them fire when it is told that time has passed."""

    def __init__(self) -> None:
        # Not the parent's: that has a descriptor.
        self.timers: list[Timer] = []
        self._soon: list[Action] = []

    def watch(self, descriptor: int, events: int, action: Action) -> None:
        """Wait for nothing."""

    def unwatch(self, descriptor: int) -> None:
        """Wait for nothing."""

    def call_later(self, seconds: float, action: Action) -> Timer:
        """Take a timer; in which order they fire is theirs to mind."""
        timer = Timer(seconds, action)
        self.timers.append(timer)
        return timer

    def call_soon(self, action: Action) -> None:
        """Do it when time passes."""
        self._soon.append(action)

    def stop(self) -> None:
        """Go on: there is nothing to stop."""

    def pass_time(self) -> None:
        """Let all timers fire that have been set before."""
        due, self.timers = self.timers, []
        for timer in due:
            timer.fire()
        soon, self._soon = self._soon, []
        for action in soon:
            action()
