"""What is done with a guest and why: in a sentence, and as the values behind it. Pure."""

from typing import Any

from aerostat.daemon.logbook import Logbook
from aerostat.daemon.orders import Orders
from aerostat.daemon.sampler import Seen
from aerostat.daemon.snapshot import GuestRow
from aerostat.daemon.thinking import Step
from aerostat.engine.plan import Reason

_SAMPLE = (
    "max_size", "guest_size", "held", "sample_age", "way", "next_sample", "total_memory",
    "free_memory", "available_memory", "disk_caches", "major_fault_rate", "swap_in_rate",
    "swap_out_rate", "block_read_rate", "failures", "error", "statistics",
)  # fmt: skip
_BOUNDS = (
    "guarantee", "ceiling", "shares", "entitlement", "managed", "pinned", "held_by_operator",
)  # fmt: skip


def explanation(seen: Seen, step: Step | None, orders: Orders) -> str:
    """Return in a sentence what is done with the guest `seen`, and why."""
    name, key = seen.info.name, seen.info.key
    if key in orders.holds:
        note = f" ({orders.holds[key]})" if orders.holds[key] else ""
        return f"{name} is left as it is: an operator holds it{note}"
    if step is None or key not in step.plan.keys:
        return f"{name} cannot be read: {seen.error or 'it has not answered yet'}"
    return f"{name} {step.plan.explain(key)}"


def values_of(
    seen: Seen, row: GuestRow | None, step: Step | None, logbook: Logbook
) -> dict[str, Any]:
    """Return what is behind the sentence. `row` is what is shown of the guest, if anything yet."""
    key = seen.info.key
    values: dict[str, Any] = {"key": key, "name": seen.info.name}
    values["sample"] = _fields(row, _SAMPLE)
    values["bounds"] = _fields(row, _BOUNDS)
    values["estimates"] = values["decision"] = None
    if row is not None and step is not None and key in step.plan.keys:
        plan, place = step.plan, step.plan.keys.index(key)
        values["estimates"] = {
            "demand": row.demand,
            "reserve": row.reserve,
            "idle": _number(plan.idle[place]),
            "want": _number(plan.want[place]),
            "aim": _number(plan.aim[place]),
            "pressure": row.pressure,
            "confidence": row.confidence,
        }
        values["decision"] = {
            "condition": row.condition,
            "condition_since": row.condition_since,
            "reason": Reason(int(plan.reason[place])).name.lower(),
            "sentence": plan.sentence(place),
            "target_size": _number(plan.target_size[place]),
            "asked": _number(plan.asked[place]),
        }
    values["outcome"] = _outcome(row, logbook, key)
    return values


def _outcome(row: GuestRow | None, logbook: Logbook, key: str) -> dict[str, Any]:
    move = logbook.last_moves.get(key)
    last = None
    if move is not None:
        last = {name: getattr(move, name) for name in move.__slots__ if name not in ("key", "name")}
    speeds = _fields(row, ("guest_size", "speed_up", "speed_down", "last_move_age"))
    return {"last_move": last, **speeds}


def _fields(row: GuestRow | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name, None) for name in names}


def _number(value: float) -> int | None:
    return int(value) if abs(value) < float("inf") else None
