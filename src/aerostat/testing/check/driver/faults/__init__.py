"""Drivers that are broken on purpose, by which the kit is tested: each has one fault.

`terms` says what a fault is. They are planted in our process guest, in `beginning`, `pages`,
`statistics`, `reports`, `hints`, `rings` and `endurance` by what they break; `guest` is a guest
with one of them, and `finding` has the kit look for all:

    python -m aerostat.testing.check.driver.faults.finding
"""
