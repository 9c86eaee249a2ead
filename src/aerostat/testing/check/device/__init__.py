"""Checks of balloon devices: a driver in our hands, over whatever transport there is.

`machine` is what checks play on: memory, a `lane` for each queue, a configuration space, and a
transport beneath. `socket_transport` is the transport of vhost-user, `stage` makes a machine of it
for each check, and starts the device anew where it has a `program` for that. `requests` are good
ones, `page_check` says what has become of pages.

The checks, in the order in which they are played: `handshake`, `features`, `configuration`,
`pages`, `statistics`, `reporting`, `hinting`, `notifications`, `chains`, `life`, `memory_table`,
`packed`; then what is bad, `bad_input` and `bad_packed` on the queues, `bad_talk` on the socket.
They are in the `registry`, once `all_checks` was imported; `session` has all of them played.
`faults` are devices that are broken on purpose, and found.
"""
