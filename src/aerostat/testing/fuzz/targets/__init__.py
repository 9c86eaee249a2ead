"""The targets: who takes something that others send, and what may come of it.

One room each, with one `TARGET` of the room's name. Of guests: `memory`, `chain`, `split_ring`,
`packed_ring`, `buffers`, `hints`, `device`. Of devices: `driver_ring`, `driver_packed_ring`,
`driver`, `process_guest`, `handover`. Of VMMs and vhost-user devices: `backend`, `frontend`,
`link`. Of
clients, of monitors and agents: `control`, `api`, `monitor`, `agent`. Of operators, of earlier
managers, and of other people's files: `config`, `saved_state`, `journal`, `traces`, `scenario`.
And of our own callers: `misuse`.

What they share: `yard` is guest memory with canaries around it, `pens` write rings, `requests` are
what a front-end may say, `json_values` and `toml_text` what anybody may write, `files` where it is
read from. `still_loop` is an event loop that waits for nothing, and `turning` measures for how
long others would wait.
"""
