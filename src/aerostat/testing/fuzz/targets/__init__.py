"""The targets: who takes something that others send, and what may come of it.

One room each, with one `TARGET` of the room's name. Of guests: `memory`, `chain`, `split_ring`,
`buffers`, `device`. Of devices: `driver_ring`, `driver`. Of VMMs and of vhost-user devices:
`backend`, `frontend`. Of clients and monitors: `control`, `monitor`. Of operators and of other
people's files: `config`, `traces`, `scenario`.

What they share: `yard` is guest memory with canaries around it, `requests` are what a front-end
may say, `json_values` and `toml_text` what anybody may write, `files` where it is read from, and
`still_loop` is an event loop that waits for nothing.
"""
