"""What a statement of the specification is, as data.

Pure.
"""

from enum import StrEnum
from typing import NamedTuple


class Who(StrEnum):
    """Of whom a statement speaks."""

    DRIVER = "driver"
    DEVICE = "device"
    BOTH = "both"


class Strength(StrEnum):
    """How strongly, in the words of RFC 2119."""

    MUST = "MUST"
    MUST_NOT = "MUST NOT"
    SHOULD = "SHOULD"
    SHOULD_NOT = "SHOULD NOT"
    MAY = "MAY"
    DESCRIBED = "described"  # in the text or by consequence, not in a conformance clause


class Statement(NamedTuple):
    """One statement. `clause` is a section of virtio 1.2; `note` is where reality differs."""

    id: str
    who: Who
    strength: Strength
    clause: str
    words: str
    note: str = ""


class Group(NamedTuple):
    """Statements on one matter. They hold if the feature `needs` is negotiated, where it is named.

    `needs` is the feature's name without its prefix, such as ``STATS_VQ``.
    """

    title: str
    statements: tuple[Statement, ...]
    needs: str = ""


class Deviation(NamedTuple):
    """Something that `implementation` does otherwise than the statement `id` says."""

    implementation: str
    id: str
    words: str
