"""What every virtio device shares; nothing here knows of balloons.

Rooms: `features` (bit numbers), `memory` (the guest's memory, and the words in it that two sides
use at once), `chain` (descriptors to buffers), `split_ring` (the device's side of a virtqueue),
`driver_ring` (the driver's side of one), `packed_ring` and `driver_packed_ring` (the same of a
packed one), `ring` (what both kinds have in common), `driver_rings` (a
driver's, of either kind).

Core: no I/O, no clock, standard library only. Importing the package imports none of its rooms.
"""
