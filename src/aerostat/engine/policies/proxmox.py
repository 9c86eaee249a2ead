"""Proxmox VE's automatic balloons.

Source: pve-manager, ``PVE/AutoBalloon.pm`` and ``PVE/Service/pvestatd.pm``, commit 14a22df3 of
2026-08-20; the minimum at the start from qemu-server, commit e6352be6 of 2026-08-17. Every ten
seconds::

    goal = 80 % of the host's memory - what is used of it
    comfortable: free memory > 0.25 * minimum, and size >= minimum; pressed: the others
    goal >  10 MiB: change(pressed, goal),     and if that does nothing, change(all, goal)
    goal < -10 MiB: change(comfortable, goal), and if that does nothing, change(all, goal)
    change: sizes towards ``minimum + shares * level`` so that their sum changes by the goal, by
            at most 100 MiB a guest

A guest starts at its minimum. One for which no minimum was set is not managed there: here that is
its guarantee, or the share `minimum` of its RAM where that is more. A guest that does not say what
it has free counts as pressed.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from aerostat.engine.observation import BoolArray, FloatArray, Guests, Hosts
from aerostat.engine.policies.base import Decision, Knob, Knobs, Memory, sums
from aerostat.engine.policies.figures import free_memory, host_free, minimum_size, within_limits
from aerostat.units import MIB, format_size

LEAST_GOAL = 10 * MIB
COMFORTABLE = 0.25
"""Of its minimum a comfortable guest has free."""
ROUNDS = 64
"""Passes after which a change is far below a page; the original goes on to the last byte."""


@dataclass(frozen=True, slots=True)
class Proxmox:
    """Keep four fifths of the host in use, by shares, in small steps."""

    name: ClassVar[str] = "proxmox"
    KNOBS: ClassVar[Knobs] = {
        "host_used": Knob(0.6, 0.97),
        "minimum": Knob(0.2, 0.75, logarithmic=True),
    }

    host_used: float = 0.80
    """Share of the host's memory that should be in use: the node's ballooning target."""
    minimum: float = 0.25
    """Share of its RAM below which a guest is never taken, nor below its guarantee."""
    change: float = 100.0 * MIB
    """Most by which a guest changes in one step."""
    interval: float = 10.0

    def start(self) -> Memory:
        """Return the memory of a manager that has seen nothing."""
        return Memory.blank()

    def step(
        self,
        memory: Memory,
        now: float,  # noqa: ARG002 - part of the protocol
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[Memory, Decision]:
        """Return sizes that bring the host nearer to its goal."""
        answers = ~np.isnan(guests.guest_size) & guests.managed
        hosts, guests = hosts.sane(), guests.sane()
        minimum = minimum_size(guests, self.minimum)
        size, free = guests.guest_size, free_memory(guests)
        used = hosts.budget - host_free(hosts, guests)
        goal = self.host_used * hosts.budget - used
        goal = np.where(np.abs(goal) > LEAST_GOAL, goal, 0.0)
        comfortable = (free > COMFORTABLE * minimum) & (size >= minimum)

        grows = goal > 0
        first = answers & (comfortable ^ grows[guests.host])
        wish, rest = self._change(size.copy(), first, goal, minimum, hosts, guests)
        nothing = np.where(grows, rest >= goal, rest <= goal) & (goal != 0)
        wish, _ = self._change(wish, answers, np.where(nothing, rest, 0.0), minimum, hosts, guests)

        known = memory.aligned(guests.keys, seen=0.0)
        new = known["seen"] == 0
        target = within_limits(np.where(new, minimum, wish), guests)
        target = np.where(answers & (target != size), target, np.nan)

        def why(row: int) -> str:
            if new[row]:
                return f"starts at its minimum of {format_size(minimum[row])}"
            towards = f"the host is {format_size(abs(goal[guests.host[row]]))} "
            towards += "below" if goal[guests.host[row]] >= 0 else "above"
            towards += f" its goal of {self.host_used:.0%} in use"
            if np.isnan(target[row]):
                return f"keeps its {format_size(size[row])}: {towards}"
            return f"goes from {format_size(size[row])} to {format_size(target[row])}: {towards}"

        return Memory(guests.keys, {"seen": np.ones(len(guests))}), Decision(target, why)

    def _change(
        self,
        wish: FloatArray,
        members: BoolArray,
        goal: FloatArray,
        minimum: FloatArray,
        hosts: Hosts,
        guests: Guests,
    ) -> tuple[FloatArray, FloatArray]:
        """Change what `members` have by `goal`, one entry a host; return sizes and what is left.

        In a pass that grows, a guest above its share shrinks all the same.
        """
        size, host, rest = guests.guest_size, guests.host, goal.copy()
        undone = members.copy()
        going = goal != 0
        for _ in range(ROUNDS):
            undone &= going[host]
            if not undone.any():
                break
            above = sums(np.where(undone, wish - minimum, 0.0), guests, hosts)
            shares = sums(np.where(undone, guests.shares, 0.0), guests, hosts)
            level = np.divide(above + rest, shares, out=np.zeros_like(rest), where=shares > 0)
            desired = minimum + np.floor(level[host] * guests.shares)
            desired = np.clip(desired, minimum, guests.ceiling)
            grows = (desired > size) & (goal > 0)[host]
            undone &= grows | (desired < size)
            new = np.clip(desired, size - self.change, size + self.change)
            change = np.where(undone, new - wish, 0.0)
            wish = wish + change
            rest = rest - sums(change, guests, hosts)
            going &= (sums(np.abs(change), guests, hosts) > 0) & (rest != 0)
        return wish, rest
