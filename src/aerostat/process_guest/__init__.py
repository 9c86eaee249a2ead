"""Guests that are ordinary processes: a memfd for memory, a model for a kernel, no VM.

Rooms: `memory` (the memfd), `connection` (one vhost-user conversation over real sockets), `rings`
(virtqueues in the guest's memory, and their notifications), `work` (a balloon driver on them),
`link` (all of it, from its connection to its end) and `interface` (what a link wants of the
guest's kernel). On the other side of that, with NumPy: `kernel` (the model made real), `pages` and
`programs` that it has; `guest` puts all together, `console` takes orders, and `nursery` starts
many. ``python -m aerostat.process_guest`` is one.
"""
