"""How a guest behaves: its memory, what its programs want, what its kernel does about it.

Core: pure, no I/O, no clock, NumPy. `state` has guests as columns, one element a guest; `step`
lets an interval of time pass for all of them; `statistics` is what their balloon drivers would
send; `workload` is what programs want, as data. The kernel that is modelled is Linux, as far as
it can be seen from outside: watermarks, background and direct reclaim, swap, refaults, OOM kills.
"""
