"""A campaign of faults: everything that runs is killed, paused, starved and cut off, under load.

Run as a program (`__main__`) it makes one, and writes a report of it: ``make faults``.

`schedule`
    which fault befalls whom, when, and for how long: all of it from a seed; pure
`relay`
    what stands between two that talk, and can be cut, torn or held up
`hands`
    what is done to a process: stopped, starved of time, memory, descriptors, disk
`inhabitant`
    one guest with its device and relays, hurt and mended
`house`
    all of them, the manager, and a witness: a second manager that only looks
`oracle`
    the promises, held against what the managers' journals and snapshots say; pure
`audit`
    the journals read as they grow, for the oracle
`remains`
    what the dead leave: processes of nobody, state, journal
`stay`, `campaign`
    round after round: hurt, mend, wait until all is well, look for damage
`record`
    what is written down of it
`report`
    what came of it, as text, JSON and a page
"""
