"""The public kit for testing balloon devices and drivers, ours and other people's.

`laboratory` is where real guests run on real devices, and `pytest_plugin` has it as a fixture.
Behind them are `processes`, all that the laboratory starts, and `guests`, the kinds of guests.
`mocks` stand in for one side of something, and have no kernel. `conformance` holds devices and
drivers to the specification, and `check` anybody's, for ``aerostat check``; `trials` a manager to
its promises, and `policies` a policy. `fuzz` plays millions of cases of what others may send.
`closing`, `control_client`, `descriptors` and `polling` are for any test.

Importing the package imports none of its rooms.
"""
