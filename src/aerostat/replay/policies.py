"""Other policies to replay with: by name, or setting by setting.

Loads a policy that is not the engine's own, as `aerostat.daemon.policies` does.
"""

import difflib
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from aerostat.daemon.policies import find
from aerostat.daemon.thinking import Guide
from aerostat.engine.settings import Settings
from aerostat.errors import UsageError
from aerostat.replay.steps import Change
from aerostat.units import parse_size

MODES: dict[str, Change] = {
    "need": lambda settings: replace(settings, mode="need"),
    "density": lambda settings: replace(settings, mode="density"),
}
"""What each mode of the engine's own policy makes of recorded settings."""


def guide_of(policy: str | None) -> Guide | None:
    """Return the policy of this name; None for a mode of the engine's own, and for None.

    Raises `UsageError`.
    """
    if policy is None or policy in MODES:
        return None
    try:
        return Guide(policy, find(policy))
    except UsageError as error:
        raise UsageError(f"{error} (or a mode: {', '.join(MODES)})") from error


def change_of(policy: str | None, assignments: Sequence[str]) -> Change | None:
    """Return what makes the other settings; None where nothing is to be other.

    `policy` is a mode, or what `guide_of` finds, which changes no setting. `assignments` are
    ``SETTING=VALUE``: seconds, fractions, or sizes with a unit. Raises `UsageError`.
    """
    values = dict(_assignment(text) for text in assignments)
    if policy is None and not values:
        return None
    mode = MODES.get(policy or "")

    def change(settings: Settings) -> Settings:
        return replace(mode(settings) if mode else settings, **values)

    return change


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = (part.strip() for part in text.partition("="))
    known = {field.name: field.default for field in fields(Settings)}
    if not equals:
        raise UsageError(f"not SETTING=VALUE: {text!r}")
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise UsageError(f"no such setting: {name}; {hint}")
    if name == "mode":
        if value not in ("need", "density"):
            raise UsageError(f"mode is need or density, not {value!r}")
        return name, value
    return name, _number(name, value, whole=isinstance(known[name], int))


def _number(name: str, text: str, *, whole: bool) -> float | int:
    if whole and not text.isdigit():
        return parse_size(text)
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise UsageError(f"{name} takes a number from 0 on, not {text!r}")
    return value
