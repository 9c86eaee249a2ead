"""Fuzzing: millions of cases of what guests, VMMs, peers and files may bring, and an oracle.

`targets` are who takes it, `registry` names them. A case is bytes (`source` reads decisions off
them); `target` says what a target is. `mutation` makes cases by a seed, `guided` has atheris make
them by coverage and `running` runs that. `playing` and `judging` play them, `oracle` says what is
promised, `minimise` makes small what was found, and `keeping` keeps it. `__main__` is the command::

    python -m aerostat.testing.fuzz --list
    python -m aerostat.testing.fuzz backend device --cases 100000 --seed 7
    python -m aerostat.testing.fuzz --guided --minutes 10
"""
