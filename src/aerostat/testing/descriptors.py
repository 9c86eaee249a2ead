"""Which file descriptors a process has open: for tests that nothing leaks. Reads /proc."""

from pathlib import Path


def open_descriptors(containing: str = "") -> set[str]:
    """Return this process's descriptors, as number and target, whose target has `containing`."""
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.add(f"{entry.name} {entry.readlink()}")
        except FileNotFoundError:  # the listing's own
            continue
    return {link for link in links if containing in link and "/proc/" not in link}
