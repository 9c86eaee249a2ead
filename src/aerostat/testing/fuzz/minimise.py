"""Making a case small that shows a fault. Pure."""

from collections.abc import Callable

# Enough for cases of a kilobyte; a fault that is slow to show must come to an end, too.
_TRIES = 4000


def minimise(case: bytes, shows: Callable[[bytes], bool]) -> bytes:
    """Return a case, cut and zeroed as far as that goes, of which `shows` is still true."""
    tries = 0

    def try_one(candidate: bytes) -> bool:
        nonlocal tries
        tries += 1
        return tries <= _TRIES and candidate != case and shows(candidate)

    changed = True
    while changed and tries < _TRIES:
        changed = False
        size = max(1, len(case) // 2)
        while size:
            at = 0
            while at < len(case):
                shorter = case[:at] + case[at + size :]
                zeroed = case[:at] + bytes(len(case[at : at + size])) + case[at + size :]
                if try_one(shorter):
                    case, changed = shorter, True
                elif try_one(zeroed):
                    case, changed = zeroed, True
                    at += size
                else:
                    at += size
            size //= 2
    return case
