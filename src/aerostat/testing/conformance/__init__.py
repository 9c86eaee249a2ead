"""What holds a device or a driver to the specification, whoever's it is.

`statements` is the specification as data; `bad_requests`, which are played on a `bad_ground`, and
`bad_messages` are what must do no harm. `pair` and `driver_bench` put both ends over the same
memory. `watched_device` writes down what its driver does wrong (`watched_hints` on the hinting
queue), `device_thread` serves it, and `watched_guest` is a guest on it.

`connectors` is another contract: what the manager is promised by whatever reaches its guests.
"""
