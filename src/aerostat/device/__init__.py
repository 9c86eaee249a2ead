"""A device process: serves one balloon to one VMM, and answers on a control socket.

``python -m aerostat.device`` (see `__main__`). Rooms: `link` and `rings` towards the front-end,
`control` and `commands` towards QMP clients, `guest` between them; `memory`, and `reclaim` and
`punch`, which give it back; `loop`, `sampler`, `sockets`, `log`. An adapter: it owns the sockets,
the descriptors and the mappings. Standard library only, and light: there is one such process for
every guest.
"""
