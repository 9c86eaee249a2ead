"""Long trials of a manager: real guests of every kind under one budget, some of them hostile.

Run as a program (`__main__`) it makes one, and writes a report of it: ``make trial``.

`plan`
    who is there, what each of them does and when, and what befalls the manager; pure
`players`
    memory that is taken and given inside a guest, after its plan
`hostile`
    a guest that hangs with its monitor, and a monitor that tells nonsense
`house`
    the guests, the manager, its deaths: the trial itself
`verdict`
    what was promised, held against what was seen; pure
`report`, with `plots`
    all of it as a page
`comparison`
    not whether promises are kept, but what a manager's guests lose, beside those of other rules
`calibration`
    not a manager, but the model of guests, held against real ones
`faults`
    everything that runs is killed, paused, starved and cut off, a thousand times
"""
