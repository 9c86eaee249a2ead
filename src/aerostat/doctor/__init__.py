"""What is right and what is wrong with a host and its guests, and what mends it.

A face. `findings` is what comes out, `checks` the table of all checks; `host`, `guest`,
`condition`, `manager` and `sockets` find, from facts that they are given, and touch nothing;
`mending` has the commands; `facts` gathers, and `report` shows.
"""
