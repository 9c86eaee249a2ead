"""The traditional memory balloon: virtio 1.2, section 5.5.

Rooms: `abi` (numbers on the wire, configuration space, queue numbering), `statistics` (tags and
their names, to and from bytes), `pages` (page frame numbers to address ranges), `lane` (one queue,
and a guest's faults on it), `device` (the device as a state machine that its caller feeds with
rings).

Core: no I/O, no clock, standard library only. Importing the package imports none of its rooms.
"""
