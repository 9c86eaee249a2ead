"""All policies by name, and how one is asked for in a word: ``mom:host_free=0.3,interval=5``.

Pure.
"""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.policies.base import Policy, knobs_of
from aerostat.engine.policies.chromeos import ChromeOs
from aerostat.engine.policies.esxi import Esxi
from aerostat.engine.policies.hyperv import HyperV
from aerostat.engine.policies.mom import Mom
from aerostat.engine.policies.oracle import Oracle
from aerostat.engine.policies.proxmox import Proxmox
from aerostat.engine.policies.qubes import Qubes
from aerostat.engine.policies.senpai import Senpai
from aerostat.engine.policies.squeezed import Squeezed
from aerostat.engine.policies.static import Static
from aerostat.engine.policies.vdsm import Vdsm
from aerostat.engine.policies.virtui import Virtui
from aerostat.engine.policies.vm0 import Vm0
from aerostat.errors import UsageError
from aerostat.units import parse_size

_ALL: tuple[type[Any], ...] = (
    Aerostat,
    Static,
    Mom,
    Vdsm,
    Proxmox,
    Squeezed,
    Qubes,
    ChromeOs,
    HyperV,
    Esxi,
    Senpai,
    Virtui,
    Vm0,
    Oracle,
)

POLICIES: Mapping[str, type[Any]] = MappingProxyType({policy.name: policy for policy in _ALL})
"""Classes of policies by name, ours first."""


def find(text: str, more: Mapping[str, type[Any]] | None = None) -> Policy:
    """Return the policy that `text` names, with the knobs that it says.

    `more` has others by name, which go before those of the house. Values are numbers, or sizes
    with a unit. Raises `UsageError`, which says what there is.
    """
    name, colon, said = text.partition(":")
    policies = {**POLICIES, **(more or {})}
    if name not in policies:
        raise UsageError(f"no policy is called {name!r}; {_meant(name, list(policies))}")
    policy = policies[name]
    values = (
        dict(_setting(name, item, _numbers(policy)) for item in said.split(",")) if colon else {}
    )
    # Our own has its knobs among its settings.
    made: Policy = getattr(policy, "tuned", policy)(**values)
    return made


def _setting(name: str, text: str, knobs: list[str]) -> tuple[str, float]:
    knob, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise UsageError(f"{name}: expected knob=value, got {text!r}")
    if knob not in knobs:
        raise UsageError(f"{name} has no knob {knob!r}; {_meant(knob, knobs)}")
    try:
        return knob, float(value)
    except ValueError:
        return knob, float(parse_size(value))


def _numbers(policy: type[Any]) -> list[str]:
    """Return the names of what can be said of a policy: its fields that are numbers, its knobs."""
    own = [field.name for field in fields(policy) if field.type in {float, "float"}]
    return own + [name for name in knobs_of(policy) if name not in own]


def _meant(word: str, words: list[str]) -> str:
    close = get_close_matches(word, words)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there is {', '.join(words)}" if words else "it has none"
