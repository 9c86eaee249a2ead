"""What a guest's kernel complains of on its console, by which others would know it, too. Pure."""

_MARKS = ("WARNING: ", "BUG: ", "Oops", "Kernel panic", "general protection", "Unable to handle")


def complaints(text: str) -> list[str]:
    """Return the lines in which a kernel says that something is wrong with itself."""
    return [line.strip() for line in text.splitlines() if any(mark in line for mark in _MARKS)]
