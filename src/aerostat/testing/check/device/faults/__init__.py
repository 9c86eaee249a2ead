"""Devices that are broken on purpose, by which the kit is tested: each has one fault.

`terms` says what a fault is. They are planted in our own device, in `pages`, `rings`, `packed`,
`statistics`, `conversation` and `bad_input` by what they break; `serving` runs a device with one of
them, in a process of its own, and `finding` has the kit look for all of them:

    python -m aerostat.testing.check.device.faults.finding
"""
