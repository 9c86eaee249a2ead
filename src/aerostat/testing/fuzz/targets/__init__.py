"""The targets: who takes something that others send, and what may come of it.

One room each, with one `TARGET` of the room's name. `yard` is guest memory with canaries around
it, and `requests` are what a front-end may say.

Of guests: `memory`, `chain`, `split_ring`, `buffers`, `device`. Of devices: `driver_ring`,
`driver`. Of VMMs and of vhost-user devices: `backend`, `frontend`.
"""
