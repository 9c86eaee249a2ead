"""The model held against real guests: the same work and targets, and how far apart counts are.

``python -m aerostat.testing.trials.calibration`` (`__main__`) makes the runs, and a report of them.

`exercises`
    what is played: work, targets and sizes; pure
`counts`
    what is counted, under one name for both; pure
`real`
    an exercise in user-mode Linux
`runs`
    all of these, kept in a file
`modelled`
    the same in the model; pure
`agreement`
    how far apart they are; pure
`report`
    all of it as a table and as JSON
"""
