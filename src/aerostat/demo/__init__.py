"""The demonstration: real Linux guests on this machine, a budget that is too small, the manager.

A face: `scenario` says what guests do, `trial` runs them in a laboratory, `summary` says how it
went, `command` is ``aerostat demo``.
"""
