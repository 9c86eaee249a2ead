"""``aerostat check``: holds anybody's balloon device, or driver, to the specification.

`verdicts` is what can be said of a statement, `checks` what finds it out and how it judges,
`running` plays them one by one, `deadline` bounds each. `report` tells people and programs,
`telling` is what its command lines share, `explaining` says what a statement demands and how it is
observed, and `features` names feature bits.
`device` and `driver` are the checks of each side, `seeded` the faults that try the kit itself.

A check plays against a *subject*, which a `running.Stage` makes anew for each: for devices, a
driver in our hands over some transport; for drivers, a device in our hands and a command.
"""
