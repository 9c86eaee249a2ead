"""The colour, dash and marker of each policy, the same in every picture; ours stands out.

Pure. Hues are told apart by colour-blind eyes; markers say the same without colour. Each has one
shade for light paper and one for dark.
"""

import zlib
from typing import NamedTuple

OURS = "aerostat"
BOUND = "oracle"
BASE = "static"


class Look(NamedTuple):
    """How a policy is drawn."""

    key: str
    """What its classes in the style sheet end in."""
    light: str
    dark: str
    marker: str
    dash: str = ""

    @property
    def strong(self) -> bool:
        """Say whether it is drawn thicker than others."""
        return self.key == OURS


_LOOKS = {
    look.key: look
    for look in (
        Look("aerostat", "#d1490c", "#ff8a3d", "circle"),
        Look("oracle", "#1d2733", "#e8edf3", "diamond", "6 3"),
        Look("static", "#8a94a3", "#97a3b4", "square", "2 2"),
        Look("mom", "#332288", "#9a8ff5", "triangle"),
        Look("vdsm", "#4aa3d6", "#88ccee", "square"),
        Look("proxmox", "#2f9c8b", "#44bba8", "diamond"),
        Look("squeezed", "#117733", "#4dbd73", "circle"),
        Look("qubes", "#8c8c1f", "#bdbd4a", "cross"),
        Look("chromeos", "#c9a227", "#e0c665", "triangle"),
        Look("hyperv", "#cc6677", "#e08a98", "square"),
        Look("esxi", "#882255", "#d869a2", "diamond"),
        Look("senpai", "#aa4499", "#d585c8", "cross"),
        Look("virtui", "#5b84b8", "#7fa9dc", "circle"),
        Look("vm0", "#7f5539", "#b98a66", "triangle"),
    )
}
# Policies of other authors: whichever of these their names come to.
_SPARE = (
    ("#5f6b7a", "#a9b5c4"),
    ("#a0522d", "#d99a78"),
    ("#5d3fd3", "#a795f0"),
    ("#2e6f40", "#7cc08f"),
)
_MARKERS = ("circle", "square", "triangle", "diamond", "cross")


def family_name(policy: str) -> str:
    """Return the name of a policy without its knobs: ``mom`` of ``mom:host_free=0.3``."""
    return policy.partition(":")[0]


def look(policy: str) -> Look:
    """Return how a policy is drawn, ours or anybody's, with or without knobs."""
    name = family_name(policy)
    known = _LOOKS.get(name)
    if known is not None:
        return known
    number = zlib.crc32(name.encode())
    light, dark = _SPARE[number % len(_SPARE)]
    return Look(f"x{number:08x}", light, dark, _MARKERS[number % len(_MARKERS)])


def rank(policy: str) -> tuple[int, str]:
    """Return what policies are sorted by: ours, the bound, fixed sizes, the rivals, others."""
    names = list(_LOOKS)
    name = family_name(policy)
    return (names.index(name) if name in _LOOKS else len(names), policy)


def style(policies: list[str]) -> str:
    """Return the style rules of some policies, for light paper and for dark."""
    looks = {look(policy) for policy in policies}
    ordered = sorted(looks)
    light = "".join(_rules(each.key, each.light) for each in ordered)
    dark = "".join(_rules(each.key, each.dark) for each in ordered)
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"


def _rules(key: str, colour: str) -> str:
    return f".s-{key} {{ stroke: {colour} }} .f-{key} {{ fill: {colour} }} "
