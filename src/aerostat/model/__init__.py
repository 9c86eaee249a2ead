"""How a guest behaves: its memory, what its programs want, what its kernel does about it.

Core: pure, no I/O, no clock, NumPy. `state` has guests as columns, one element a guest; `demand` is
what their programs want in an interval and what came of it, `plans` what they want over time.
`step` lets an interval pass for a process guest, `advance` many of them for thousands of guests
whose balloons move. Both are the same functions on one guest's record (`rows`): `interval`, with
`reclaim`, `balloon` and `harm`; `living` is the loop over intervals and guests, and `compiled` the
one room that has it compiled. `statistics` is what balloon drivers would send, `dialects` what
those of different guests make of it, `pace` what everything costs in time; `workload` is what
programs want, as data that real guests play, too.

The kernel that is modelled is Linux, as far as it can be seen from outside: watermarks, background
and direct reclaim, swap, refaults, OOM kills. See docs/model.md.
"""
