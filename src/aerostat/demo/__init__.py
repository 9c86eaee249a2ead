"""The demonstration: guests on this machine, a budget that is too small, and the manager.

A face: `kinds` says what guests are, `scenario` what they do, `trial` runs them in a laboratory,
`summary` says how it went, `command` is ``aerostat demo``.
"""
