"""Every constant of the engine, in one place, each with its reason.

Sizes are bytes, times are seconds, rates are a second, shares of memory are fractions of a guest's
maximum.
"""

from dataclasses import dataclass
from typing import Literal

from aerostat.units import KIB, MIB


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator or a simulation may turn."""

    mode: Literal["need", "density"] = "need"
    """``need``: guests shrink only while the host, or another guest, needs the memory. ``density``:
    idle memory is always taken; the operator's choice."""

    pool_share: float = 0.04
    """Fraction of the budget that comfort leaves free, so that the next need is met at once
    instead of after somebody else's balloon has grown."""

    files_pool_part: float = 0.5
    """... and this part of it files leave, too: programs that grow come before them."""

    reserve_floor: int = 24 * MIB
    """No guest keeps less idle than this: the kernel's own watermarks and a shell need it."""

    reserve_share: float = 0.06
    """A guest of which nothing is known yet is taken for one that grew by this fraction of its
    maximum."""

    reserve_ceiling_share: float = 0.5
    """However bursty a guest was, its reserve stays below this fraction of its maximum."""

    reserve_least_part: float = 0.05
    """Where not all reserves fit, this part of each is kept, and needs go short."""

    readiness: float = 0.3
    """Where nobody needs it, this fraction of its maximum is kept idle in a guest whose programs
    would be killed: the first burst is seen only when it is half over."""

    readiness_hidden: float = 0.45
    """... and this one in a guest that does not say what is available: files look like use there,
    and what is idle is less than it seems."""

    readiness_first: float = 0.1
    """This fraction comes even before files: what is killed cannot be read back."""

    brittle_margin: float = 0.05
    """A guest whose total exceeds its size by this fraction of its maximum deflates on OOM."""

    killed_share: float = 0.15
    """A guest in an emergency that lets go of so much of its maximum from one sample to the next
    has had a program killed."""

    rush_least: float = 0.02
    """Demand that grows by less than this fraction of the maximum from one sample to the next is in
    no rush."""

    rush_lead: float = 3.0
    """A rush is thought to go on for this long: until what is granted now is there, and a moment
    more, since a guest that has run out is slow even at taking what it is given."""

    loose_rate: float = 0.25
    """Of memory that lies free, beyond the reserve, this fraction of the maximum may be taken in a
    second: nobody feels that, so neither harm nor the rate of shrinking holds it up."""

    reaction_time: float = 2.0
    """From a guest's need to memory in its hands: a sample's age, a tick, and a deflation. The
    reserve is what demand grew by within this time, at its recent worst."""

    growth_memory: float = 1800.0
    """Time constant with which a burst is forgotten: who had one will have another, and a guest
    without swap that is not ready for it is killed by it."""

    scarcity_share: float = 0.8
    """Idle memory below this fraction of the reserve is scarce. Below 1, or every guest held at
    its reserve would seem to suffer."""

    pressure_fall: float = 4.0
    """Pressure rises at once and falls with this time constant."""

    harm_pressure: float = 0.2
    """From here on a guest is said to feel it: shrinking stops."""

    distress_pressure: float = 0.5
    """From here on a guest is given at once what it needs, up to its entitlement."""

    emergency_pressure: float = 0.85
    """From here on it gets all that may be granted to it, in one request: a guest so squeezed
    that even giving memory back is slow must not be helped in small pieces."""

    cooldown: float = 10.0
    """After harm a guest is not shrunk for this long."""

    plenty: float = 2.0
    """With so many times its reserve idle a guest has cooled down."""

    shrink_rate: float = 0.06
    """Fraction of the maximum that may be taken from a guest in a second."""

    calm_factor: float = 0.5
    """Shrinking is this many times faster (so: slower) while guests hold little of the budget."""

    survival_factor: float = 4.0
    """Shrinking is this many times faster while guests hold more than the budget."""

    blind_factor: float = 0.2
    """Shrinking without a fresh sample, which only contention allows, is this many times faster
    (so: slower)."""

    overhead_rise: float = 5.0
    """Time constant with which is learned what a guest holds beyond its size: a moment's buffers
    are not its monitor's own memory."""

    overhead_fall: float = 600.0
    """... and with which that is forgotten while it holds less."""

    comfort_rate: float = 0.06
    """Fraction of the maximum that may be given in a second to a guest that does not need it."""

    smallest_move: int = 4 * MIB
    """Smaller moves than this are not worth a request, unless a guest needs the memory."""

    smallest_move_share: float = 0.02
    """... nor smaller ones than this fraction of the guest's maximum."""

    fresh_for: float = 5.0
    """A sample is trusted in full for this long."""

    gap_weight: float = 0.1
    """Weight of the newest gap between samples in what is known of them, if it is a short one: a
    long one counts at once."""

    silent_after: float = 30.0
    """A guest without a sample for this long counts as silent."""

    patience: float = 8.0
    """A balloon that was asked to move and has not for this long is stuck, ..."""

    patience_steps: float = 4.0
    """... unless it is so slow by nature that it needs more for so many steps of a MiB, ..."""

    longest_patience: float = 60.0
    """... but after this long in any case."""

    crawl_share: float = 0.1
    """A balloon that does less than this fraction of its own speed does not get on."""

    speed_weight: float = 0.3
    """Weight of what a balloon did last in what is known of its speed."""

    stuck_for: float = 30.0
    """A stuck guest is not asked again for this long."""

    gain_patience: float = 10.0
    """The host must have gained what a balloon took after this long."""

    gain_least: int = 32 * MIB
    """A gain that should have been smaller than this is not judged: it drowns in noise."""

    monitor: int = 64 * MIB
    """So much more than its size a guest may hold for the sake of its monitor, ..."""

    monitor_share: float = 0.25
    """... but not more than this fraction of its maximum, before its balloon is suspected."""

    useless_for: float = 600.0
    """A guest whose balloon frees nothing is left alone for this long, then tried again."""

    programs_memory: float = 2_400.0
    """Where a guest does not say what is available: time constant with which less and less of what
    it has in use is taken for its programs', ..."""

    programs_back: float = 0.05
    """... and the fraction of the rest that is, too, at each sample in which it feels harm."""

    trust_fall: float = 10.0
    """Time constant with which a guest is believed less while its figures contradict the host's,
    ..."""

    trust_rise: float = 600.0
    """... and more again while they do not."""

    reads_memory: float = 8.0
    """Time constant over which reads from the disk are averaged."""

    reads_harm: float = 1.0 * MIB
    """Reads a second that hurt: a disk gives some hundred times that, so this is nearly one percent
    of a guest's time."""

    reads_worth: float = 100 * KIB
    """Reads a second, beyond what must be read, that show that files are worth the memory that they
    have: where that is there, nobody need feel even a thousandth of a guest's time."""

    reads_unseen: float = 1.0 * MIB
    """Files of a guest of which nobody counts the reads are given memory as if it read so much a
    second."""

    mapped_memory: float = 900.0
    """Time constant with which is forgotten how much of its files a guest uses all the time."""

    mapped_lead: float = 0.01
    """Files in constant use are thought to be more than are there by at most this fraction of the
    maximum: a guest that thrashes reads the same files over and over."""

    mapped_enough: float = 0.9
    """Where nothing is read back, this part of the files that are there is in constant use at
    most."""

    fault_cluster: int = 32 * 1024
    """What a major fault reads: eight pages (Linux's vm.page-cluster is 3)."""

    worth_memory: float = 1200.0
    """Time constant with which the worth of files is forgotten, and so tried again."""

    worth_rise: float = 10.0
    """Time constant with which the worth of files that are too few rises to what there is of them:
    so slowly that reads, which are an average, tell what was given in vain."""

    worth_fresh: float = 10.0
    """Time constant with which less of what files are worth goes before what others' are: of two
    caches, that of which reads have shown it lately comes first."""

    worth_lead: float = 0.05
    """A guest is given more for its files by at most this fraction of its maximum at a time, so
    that what it is worth can be seen."""

    vain_share: float = 0.2
    """Memory given for files in vain: after this fraction of the maximum two thirds of what is
    read count as what must be read anyway."""

    owed_memory: float = 60.0
    """... unless reads fall within about this long: a cache fills, and reads are an average."""

    scarce_free: int = 16 * MIB
    """With less free than this a kernel may be reclaiming, ..."""

    scarce_free_share: float = 0.01
    """... and this fraction of the maximum."""

    host_floor_share: float = 0.02
    """Guests may not have the memory that would leave the host less available than this fraction
    of the budget, even if the budget says so."""

    half_host_pressure: float = 0.1
    """Tasks of the host that wait for memory for this fraction of the time: half of the strain."""

    half_host_swap_out: float = 0.002
    """This fraction of the budget swapped out in a second: half of the strain."""

    strain_begins: float = 0.5
    """From here on the host is strained: comfort is taken back."""

    strain_ends: float = 0.2
    """Below this it is at ease; in between nothing changes."""

    strain_rise: float = 3.0
    """Time constant with which a host's strain rises: one bad second is not one."""

    strain_fall: float = 10.0
    """... and falls."""

    lid_fall: float = 0.02
    """Fraction of the budget by which a strained host's lid on comfort sinks in a second, ..."""

    lid_rise: float = 0.002
    """... and rises again when it is at ease: slowly, or it would soon be strained again."""

    lid_lowest_share: float = 0.5
    """The lid does not sink below this fraction of the budget: something else is wrong then."""

    longest_tick: float = 5.0
    """Rate limits count at most this much time since the last step: a manager that was suspended
    does not take in one stroke what it missed."""
