"""Names at the edge.

What a guest or a VMM calls itself may hold anything; logs, views and file formats must survive
it. Pure, standard library only.
"""

from collections.abc import Mapping

from aerostat.balloon.statistics import NAMES, Tag

# A name longer than this is no help in a table; QEMU's own limit is of the order of 100.
NAME_LIMIT = 80
TEXT_LIMIT = 400
# A driver may send tags that nobody knows; this many of them are shown.
_UNKNOWN_LIMIT = 32
_KNOWN = frozenset(Tag)
# Longer than any socket's path (108 bytes) and any libvirt URI in use; bounds the journal.
KEY_LIMIT = 512


def clean_name(text: str, limit: int = NAME_LIMIT) -> str:
    """Return `text` with everything unprintable replaced, cut to `limit` characters, never empty.

    Control and format characters (which move cursors and hide text), lone surrogates and line
    ends become ``?``.
    """
    shown = "".join(c if c.isprintable() else "?" for c in text[:limit])
    if len(text) > limit:
        shown = shown[:-1] + "…"
    return shown.strip() or "?"


def clean_text(text: object) -> str:
    """Return a message (of an exception, say) as one bounded line that can be printed."""
    return clean_name(" ".join(str(text)[: 2 * TEXT_LIMIT].split()), TEXT_LIMIT)


def clean_key(key: str) -> str | None:
    """Return a printable key, distinct for distinct keys, or None where it is absurdly long."""
    if len(key) > KEY_LIMIT:
        return None
    # A key that begins with the escape's own first letter is escaped too: no two keys collide.
    if key.isprintable() and key and not key.startswith("\\"):
        return key
    return "\\" + key.encode("unicode_escape", "surrogatepass").decode("ascii")


def named_statistics(statistics: Mapping[int, int]) -> dict[str, int]:
    """Return a guest's own figures by name; a tag that nobody knows is called ``tag-N``."""
    known = {name: statistics[tag] for tag, name in NAMES.items() if tag in statistics}
    unknown = sorted(statistics.keys() - _KNOWN)[:_UNKNOWN_LIMIT]
    return known | {f"tag-{tag}": statistics[tag] for tag in unknown}
