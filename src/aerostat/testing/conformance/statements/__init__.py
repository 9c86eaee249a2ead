"""The numbered statements of virtio 1.2 on balloons, as data: what tests and reports refer to.

Pure. Ids are stable: ``DRV-`` speaks of drivers, ``DEV-`` of devices, ``LEG-`` of the legacy
interface, ``CFG-`` of the configuration space, ``ST-`` of status and features, ``VQ-`` of split
rings, ``PK-`` of packed ones, ``PCI-`` of PCI, ``VU-`` of vhost-user; ``USE-`` and ``BAD-`` are
what nobody has written down, and everybody counts on. They are in `balloon`, `device_status`,
`rings`, `pci`, `vhost_user`, `expected` and `expected_of_drivers`; `terms` says what a statement
is, `deviations` who is known not to keep which.

A test says which it checks by ``@pytest.mark.statement("DRV-STATS-1")``; the table in
``docs/specification.md`` is made of both.

::

    from aerostat.testing.conformance.statements import statement
    print(statement("DRV-STATS-5").note)
"""

from aerostat.errors import UsageError
from aerostat.testing.conformance.statements import (
    balloon,
    device_status,
    expected,
    expected_of_drivers,
    pci,
    rings,
    vhost_user,
)
from aerostat.testing.conformance.statements.deviations import DEVIATIONS
from aerostat.testing.conformance.statements.terms import Deviation, Group, Statement, Strength, Who

__all__ = [
    "DEVIATIONS",
    "GROUPS",
    "STATEMENTS",
    "Deviation",
    "Group",
    "Statement",
    "Strength",
    "Who",
    "deviations_from",
    "group_of",
    "statement",
]

GROUPS: tuple[Group, ...] = (
    *balloon.GROUPS,
    *device_status.GROUPS,
    *rings.GROUPS,
    *pci.GROUPS,
    *vhost_user.GROUPS,
    *expected.GROUPS,
    *expected_of_drivers.GROUPS,
)

#: Every statement by its id, in the order of the groups.
STATEMENTS: dict[str, Statement] = {one.id: one for group in GROUPS for one in group.statements}


def statement(id: str) -> Statement:  # noqa: A002 - the field's name
    """Return the statement with this id. Raises `UsageError` if there is none."""
    try:
        return STATEMENTS[id]
    except KeyError:
        raise UsageError(f"no statement of the specification is called {id}") from None


def group_of(id: str) -> Group:  # noqa: A002 - the field's name
    """Return the group that the statement with this id is in. Raises `UsageError`."""
    wanted = statement(id)
    return next(group for group in GROUPS if wanted in group.statements)


def deviations_from(id: str) -> tuple[Deviation, ...]:  # noqa: A002 - the field's name
    """Return what is known to deviate from the statement with this id. Raises `UsageError`."""
    wanted = statement(id).id
    return tuple(one for one in DEVIATIONS if one.id == wanted)
