"""What libvirt's description of a domain says of its memory, and our own settings in it. Pure.

The XML comes from libvirtd; what is in it was written by whoever defines the domain.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import NamedTuple

from aerostat.errors import PeerError

NAMESPACE = "urn:aerostat:domain:1"
"""Of the element ``memory`` in a domain's metadata."""

SETTINGS = ("guarantee", "ceiling", "shares", "managed")

AGENT_CHANNEL = "org.qemu.guest_agent.0"

_MAX_SETTING = 100


class Setup(NamedTuple):
    """How a domain is set up."""

    balloon: bool
    alias: str | None
    """What QEMU calls the balloon device; None while the domain is shut off."""
    deflate_on_oom: bool
    free_page_reporting: bool
    period: int
    """Of its statistics, seconds; 0 is never."""
    huge_pages: bool
    locked_memory: bool
    passthrough: bool
    agent_channel: bool
    agent_connected: bool
    settings: Mapping[str, str]


def read_setup(text: str) -> Setup:
    """Return how a domain is set up. Raises `PeerError` if `text` is not a domain's XML."""
    root = _parse(text)
    balloon = root.find("devices/memballoon")
    present = balloon is not None and balloon.get("model", "none") != "none"
    return Setup(
        balloon=present,
        alias=_attribute(root, "devices/memballoon/alias", "name"),
        deflate_on_oom=present and _on(balloon, "autodeflate"),
        free_page_reporting=present and _on(balloon, "freePageReporting"),
        period=_period(root),
        huge_pages=root.find("memoryBacking/hugepages") is not None,
        locked_memory=root.find("memoryBacking/locked") is not None,
        passthrough=_passes_devices_through(root),
        agent_channel=_agent(root) is not None,
        agent_connected=_agent(root) == "connected",
        settings=_settings(root),
    )


def _parse(text: str) -> ET.Element:
    if "<!DOCTYPE" in text:  # libvirt writes none, and what it can define may be a bomb
        raise PeerError("the description of the domain has a DTD")
    try:
        root = ET.fromstring(text)  # noqa: S314 - without a DTD it is as harmless as JSON
    except (ET.ParseError, RecursionError, ValueError) as error:
        raise PeerError(f"the description of the domain is not XML: {error}") from None
    if root.tag != "domain":
        raise PeerError("the description of the domain is of something else")
    return root


def _attribute(root: ET.Element, path: str, name: str) -> str | None:
    element = root.find(path)
    return None if element is None else element.get(name)


def _on(element: ET.Element | None, name: str) -> bool:
    return element is not None and element.get(name) == "on"


def _period(root: ET.Element) -> int:
    text = _attribute(root, "devices/memballoon/stats", "period") or "0"
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _passes_devices_through(root: ET.Element) -> bool:
    """Tell whether a device of the host is given to the guest by VFIO, which pins its memory.

    USB and SCSI devices of the host are passed on by QEMU itself, and pin nothing.
    """
    kinds = {device.get("type") for device in root.findall("devices/hostdev")}
    interfaces = {device.get("type") for device in root.findall("devices/interface")}
    return bool(kinds & {"pci", "mdev"}) or bool(interfaces & {"hostdev", "vdpa"})


def _agent(root: ET.Element) -> str | None:
    """Return the state of the guest agent's channel; None if there is no such channel."""
    for target in root.findall("devices/channel/target"):
        if target.get("name") == AGENT_CHANNEL:
            return target.get("state", "")
    return None


def _settings(root: ET.Element) -> dict[str, str]:
    """Return what the domain's metadata asks for, as text; what is not ours is left out."""
    element = root.find(f"metadata/{{{NAMESPACE}}}memory")
    if element is None:
        return {}
    return {
        name: value[:_MAX_SETTING]
        for name in SETTINGS
        if (value := element.get(name)) is not None and value[:_MAX_SETTING].isprintable()
    }
