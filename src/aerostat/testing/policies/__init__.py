"""A kit for policies, anybody's: it holds one to what a policy must be, and to our promises.

Run as a program (`__main__`) it prints which policies keep which promises.

`checking`
    `check_policy`: all of it at once, and its outcome as a table; begin here
`promises`
    what is promised, each promise with the check that finds out
`contract`
    checks of what any policy must be: pure, columnar, able to survive what guests tell
`conduct`
    checks of what a policy does to guests and to their host
`simulated`
    one more check, in the simulator: takes seconds, and what the simulator needs
`stage`
    guests as plain arithmetic, with faults on demand; and films, which are what a policy was shown
`suite`
    the same as a class of tests for pytest, which a policy's own tests inherit
"""
