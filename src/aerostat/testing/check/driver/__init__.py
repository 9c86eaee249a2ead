"""Checks of balloon drivers: a device in our hands, and whatever guest plugs in.

`stage` starts guests for checks: each is a `command`, one of the laboratory's `guests` perhaps, at
a `stand`. There an `unruly_device` behind `watched_ring` serves it, and its `conversation` is
listened to. `contents` says what has become of pages, `complaints` what a kernel says of itself.

The checks, in the order in which they are played: `beginning`, `statistics`, `pages`, `reports`,
`hints`, `packed`, `provocations`, and `conduct`, which judges all that was seen on the way. They
are in the `registry`; `all_checks` has them all. `faults` has drivers that are broken on purpose,
by which the checks are checked.
"""
