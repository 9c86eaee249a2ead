"""What is right and what is wrong with a host and its guests, and what mends it.

A face, and pure. `findings` is what comes out, `checks` the table of all checks; `host`, `guest`,
`condition`, `manager` and `sockets` find, from facts that they are given, and touch nothing;
`mending` has the commands, and `report` shows. The facts are gathered by the command
(`aerostat.cli.doctor_facts`).
"""
