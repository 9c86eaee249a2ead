"""The traditional memory balloon: virtio 1.2, section 5.5.

Rooms of both sides: `abi` (numbers on the wire, configuration space, queue numbering),
`statistics` (tags and their names, to and from bytes).

The device's: `device` (a state machine that its caller feeds with rings), `events` (what it says
of its driver), `lane` (one queue, and a guest's faults on it), `pages` (page frame numbers to
address ranges), `blocks` (whole blocks of memory out of single pages).

The driver's, which run inside guests: `driver` (the same for the other side), `driver_features`
(what it negotiates, and how its queues are numbered), `driver_phase` (the order of its calls),
`driver_events` (what it says of its device), `driver_lane` (one queue and its one request),
`driver_pages` (its account of pages), `driver_statistics` (its answers).

Core: no I/O, no clock, standard library only. Importing the package imports none of its rooms.
"""
