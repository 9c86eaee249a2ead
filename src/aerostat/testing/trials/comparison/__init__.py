"""Policies compared on real guests: the same guests, the same work, the same budget, in turn.

``python -m aerostat.testing.trials.comparison`` (`__main__`) makes the runs, and a report of them.

`scenes`
    who does what and when, from a seed; pure
`inhabitants`
    the guests: user-mode Linux and QEMU, each with a disk, some with swap
`drivers`
    who moves the balloons: our manager as it is, a rival's rule in a plain loop, or nobody
`rivals`
    rules put after the same memory held; pure
`running`
    one run: boot, let work, count what it cost inside and what was held outside
`schedule`
    all runs, in shuffled order, kept in a file as they are made
`harm`
    what the counts cost, and who cost least; pure
`simulated`
    the same runs in the simulator
`report`, with `bars`
    all of it as a page
"""
