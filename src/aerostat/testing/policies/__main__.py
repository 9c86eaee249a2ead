"""``python -m aerostat.testing.policies NAME...``: which promises policies keep.

Names are what `aerostat.daemon.policies.find` takes. The exit code is 1 where a promise of the
contract is broken, or any promise by a policy under safeguards.
"""

import argparse
import sys

from aerostat.daemon.policies import GUARDED, find
from aerostat.errors import UsageError
from aerostat.testing.policies.checking import check_policy, table
from aerostat.testing.policies.promises import PROMISES, Kind


def main() -> int:
    """Check the policies that are named, and print a table."""
    parser = argparse.ArgumentParser(prog="aerostat.testing.policies", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--simulate", action="store_true", help="check in the simulator, too")
    options = parser.parse_args()
    promises = PROMISES
    if options.simulate:
        # Imported here: the simulator is heavy, and needs more than the rest.
        from aerostat.testing.policies.simulated import SIMULATED  # noqa: PLC0415

        promises = (*PROMISES, SIMULATED)
    try:
        reports = [check_policy(find(name), name, promises) for name in options.names]
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(reports))
    wrong = [
        report.broken(*((Kind.CONTRACT, Kind.SAFETY) if guarded else (Kind.CONTRACT,)))
        for report in reports
        for guarded in [report.name.startswith(GUARDED)]
    ]
    return 1 if any(wrong) else 0


if __name__ == "__main__":
    sys.exit(main())
