"""The journal: what every step was fed and decided, in SQLite, rolled up as it ages.

`writer` is the thread that never delays anybody, with `recording` (observations to bytes and back),
`file`, `schema` and `rollup` behind it; `reading` and `history` are for whoever looks back.
"""
