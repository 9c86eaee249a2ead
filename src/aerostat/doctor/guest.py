"""What is right and wrong with how a guest is set up. Pure: the facts are given."""

from collections.abc import Iterator
from dataclasses import dataclass

from aerostat.daemon.snapshot import GuestRow
from aerostat.doctor import mending
from aerostat.doctor.findings import Finding, Level
from aerostat.hypervisors.base import Examination
from aerostat.units import MIB, format_size

# Kernels and firmware keep some of a guest's memory for themselves; a crash kernel keeps more.
_KEPT_PART, _KEPT_SIZE = 1 / 8, 320 * MIB
# Linux 6.12 sends these; those before it only what came with the names before.
_NEWEST_FIGURE = "alloc_stalls"
_NEEDED_FIGURE = "available_memory"


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """What is known of one guest.

    `row` is what was read of it, by the running manager if there is one; `examination` how it is
    set up, None where that could not be found out, for the reason in `problem`. `host_swaps`
    is whether the host has any swap, `managing` whether a manager moves balloons.
    """

    row: GuestRow
    examination: Examination | None = None
    problem: str | None = None
    host_swaps: bool = True
    managing: bool = False

    @property
    def reports(self) -> bool:
        """Whether its balloon's driver has ever sent figures."""
        told = bool(self.row.statistics) and self.row.way != "agent"
        return told or bool(self.examination and self.examination.statistics)

    @property
    def asked(self) -> bool:
        """Whether its hypervisor asks it for figures at all."""
        return self.examination is None or self.examination.interval != 0

    @property
    def moved(self) -> bool:
        """Whether its balloon holds something, which only a driver can have given."""
        row = self.row
        return None not in (row.guest_size, row.max_size) and row.guest_size != row.max_size


def setup_findings(facts: GuestFacts) -> list[Finding]:
    """Return what the checks of a guest's set-up come to."""
    examination = facts.examination
    if examination is None:
        return [*_unexamined(facts), *_figures(facts), *_whole_memory(facts)]
    if examination.running is False:
        return [_found(facts, "power", Level.INFO, "it does not run, or is paused", "running")]
    if examination.balloon is False:
        text = "it has no virtio balloon: nothing can be seen of it or taken from it"
        return [_found(facts, "balloon", Level.CRITICAL, text, "balloon")]
    return [
        *_balloon(facts, examination),
        *_driver(facts),
        *_period(facts),
        *_figures(facts),
        *_agent(facts, examination),
        *_pinned(facts, examination),
        *_properties(facts, examination),
        *_swap(facts, examination),
        *_whole_memory(facts),
        *_permission(facts, examination),
    ]


def _found(
    facts: GuestFacts,
    check: str,
    level: Level,
    text: str,
    field: str | None = None,
    mend: str | None = None,
) -> Finding:
    """Return a finding, mended as the examination says for its `field`, or else by `mend`."""
    name = facts.row.name
    if field is not None and facts.examination is not None:
        mend = mending.of(facts.examination, field, name) or mend
    return Finding(name, check, level, text, mend)


def _unexamined(facts: GuestFacts) -> Iterator[Finding]:
    if facts.reports:
        yield from _driver(facts)
    if facts.problem:
        text = f"how it is set up cannot be found out: {facts.problem}"
        yield _found(facts, "set_up", Level.INFO, text)


def _balloon(facts: GuestFacts, examination: Examination) -> Iterator[Finding]:
    if examination.balloon:
        yield _found(facts, "balloon", Level.OK, "it has a virtio balloon")


def _driver(facts: GuestFacts) -> Iterator[Finding]:
    examination = facts.examination
    if facts.reports:
        yield _found(facts, "driver", Level.OK, "its balloon driver answers")
        return
    follows = facts.moved or bool(examination and examination.driver)
    if follows:
        yield _found(facts, "driver", Level.OK, "its balloon driver follows its target")
    if not facts.asked:
        return  # what was not asked for is not missed
    if follows:
        text = "its driver sends no figures, so nothing is known of what it needs"
        yield _found(
            facts, "statistics", Level.WARNING, text, "statistics", mending.WINDOWS_SERVICE
        )
        return
    text = "no balloon driver has ever answered"
    yield _found(facts, "driver", Level.CRITICAL, text, "driver", mending.DRIVER)


def _period(facts: GuestFacts) -> Iterator[Finding]:
    if not facts.asked and facts.row.condition != "fresh":
        text = "its figures are never asked for (the period is 0)"
        yield _found(facts, "period", Level.WARNING, text, "interval")


def _figures(facts: GuestFacts) -> Iterator[Finding]:
    told = facts.row.statistics
    if not told:
        return
    if facts.row.way == "agent":
        text = "its figures come by its guest agent, the old way, for want of a statistics queue"
        yield _found(facts, "way", Level.WARNING, text, "driver", mending.DRIVER)
    if _NEEDED_FIGURE not in told:
        text = "its kernel does not tell what is available: what it needs can only be guessed"
        yield _found(facts, "figures", Level.WARNING, text, mend="Linux 4.6 or later in the guest")
    elif _NEWEST_FIGURE not in told and facts.row.way != "agent":
        text = f"{len(told)} of them; Linux 6.12 sends six more, which show distress sooner"
        yield _found(facts, "figures", Level.INFO, text, mend=_newest(facts))
    else:
        yield _found(facts, "figures", Level.OK, f"{len(told)} of them")


def _newest(facts: GuestFacts) -> str:
    mend = "Linux 6.12 or later in the guest"
    if facts.examination is None or facts.examination.kind != "libvirt":
        return mend
    return f"{mend}; and, as libvirt does not show them, passthrough = true in its [[connector]]"


def _agent(facts: GuestFacts, examination: Examination) -> Iterator[Finding]:
    agent = examination.agent
    # With figures from the queue nobody needs the agent.
    level = Level.INFO if facts.reports else Level.WARNING
    if agent == "answers":
        yield _found(facts, "agent", Level.OK, "the guest agent answers, and may read files")
    elif agent == "blocked":
        text = "the guest agent answers, but may not read files"
        yield _found(facts, "agent", level, text, mend=mending.AGENT_FILES)
    elif agent == "absent" and not facts.reports:
        text = "no guest agent either, by which its figures could be had instead"
        yield _found(facts, "agent", Level.INFO, text, "agent", mending.AGENT)


# What keeps a balloon from freeing anything, by the field that says so.
_PINS = (
    ("passthrough", "passthrough", "a device of the host is passed through to it (VFIO)"),
    ("huge_pages", "guest_huge_pages", "its memory is on huge pages"),
    ("locked_memory", "locked_memory", "its memory is locked"),
)


def _pinned(facts: GuestFacts, examination: Examination) -> Iterator[Finding]:
    for field, check, words in _PINS:
        if getattr(examination, field):
            text = f"{words}: its balloon frees little or nothing on the host"
            mend = mending.exempt(facts.row.name)
            yield _found(facts, check, Level.WARNING, text, field, mend)


def _properties(facts: GuestFacts, examination: Examination) -> Iterator[Finding]:
    if examination.deflate_on_oom:
        text = "on: it takes its memory back before it kills a program"
        yield _found(facts, "deflate_on_oom", Level.OK, text)
    elif examination.deflate_on_oom is False:
        text = "off: it kills a program rather than take memory back from its balloon"
        yield _found(facts, "deflate_on_oom", Level.WARNING, text, "deflate_on_oom")
    if examination.free_page_reporting:
        text = "on: the host gets back what it frees"
        yield _found(facts, "free_page_reporting", Level.OK, text)
    elif examination.free_page_reporting is False:
        text = "off: what it has once touched it holds, until its balloon takes it"
        yield _found(facts, "free_page_reporting", Level.INFO, text, "free_page_reporting")


def _swap(facts: GuestFacts, examination: Examination) -> Iterator[Finding]:
    used = facts.row.statistics.get("swap_out", 0) > 0
    if examination.swap or used:
        yield _found(facts, "guest_swap", Level.OK, "it has swap")
    elif examination.swap is False:
        level = Level.INFO if facts.host_swaps else Level.WARNING
        also = "" if facts.host_swaps else ", and neither has the host"
        text = f"it has no swap{also}: in need it kills at once instead of getting slow"
        yield _found(facts, "guest_swap", level, text, "swap", f"in the guest:\n{mending.SWAP}")


def _whole_memory(facts: GuestFacts) -> Iterator[Finding]:
    """Look for memory that was plugged in and that the guest does not use."""
    row = facts.row
    if row.total_memory is None or row.guest_size is None or row.max_size is None:
        return
    # With deflate-on-oom the balloon is part of what the guest calls its total, without it not.
    missing = row.guest_size - row.total_memory
    text = f"it uses {format_size(row.total_memory)} of {format_size(row.guest_size)}"
    if missing > row.max_size * _KEPT_PART + _KEPT_SIZE:
        more = f"{text}: memory was plugged in, and is not online in the guest"
        yield _found(facts, "whole_memory", Level.WARNING, more, mend=mending.ONLINE)
    elif row.total_memory > row.max_size:
        more = f"it says that it has {format_size(row.total_memory)}, more than there can be"
        yield _found(facts, "whole_memory", Level.WARNING, more)
    else:
        yield _found(facts, "whole_memory", Level.OK, "it uses all that it was given")


def _permission(facts: GuestFacts, examination: Examination) -> Iterator[Finding]:
    # Whoever only observes asks for no more than to look.
    if facts.managing and examination.may_change is False:
        text = "this connection may only look: its balloon will not be moved"
        yield _found(facts, "permission", Level.WARNING, text, "may_change")
