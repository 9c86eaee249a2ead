"""Checks of balloon devices: a driver in our hands, over whatever transport there is.

`machine` is what checks play on: memory, a `lane` for each queue, a configuration space, and a
transport beneath. `socket_transport` is the transport of vhost-user, `stage` makes a machine of it
for each check, and starts the device anew where it has a `program` for that. `offer` is what the
device offers, `requests` are good ones, `page_check` says what has become of pages, `options` are
the user's.

Inside a guest it is `pci_transport` and `pci_stage`; `pci_hold` takes the device from the kernel
and puts it back, `over_pci` says what is checked there, and `in_guest` is the program.

The checks, in the order in which they are played: `handshake`, `features`, `configuration`,
`pages`, `statistics`, `reporting`, `hinting`, `notifications`, `chains`, `life`, `memory_table`,
`packed`; then what is bad, `bad_input` and `bad_packed` on the queues, `bad_talk` on the socket.
They are in the `registry`, once `all_checks` was imported; `session` has all of them played.
`faults` are devices that are broken on purpose, and found.
"""
