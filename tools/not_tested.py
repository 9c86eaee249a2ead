"""Why a statement of the specification has no test of ours, by its id.

A statement is in this table or carried by a test, never both, which is held by
tests/testing/conformance/test_statements.py.
"""

_NOT_OUR_SIDE = "our device is behind vhost-user, and PCI is the VMM's"

NOT_TESTED = {
    "DRV-OP-3": "a permission, and so nothing that could be wrong",
    "DRV-OP-8": "a permission that our driver does not use: it waits either way",
    "DRV-REP-6": "nobody but the driver knows which touch is needless",
    "VQ-DRV-11": "nothing that a balloon writes is ever read by its driver",
    "VQ-DEV-7": "IN_ORDER is not offered",
    "PCI-12": _NOT_OUR_SIDE,
}
