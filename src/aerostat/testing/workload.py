"""Workloads as data, for laboratory guests: what `aerostat.model.workload` has, in the kit."""

from aerostat.model.workload import Step, Workload, burst, idle, leak, reader, steps

__all__ = ["Step", "Workload", "burst", "idle", "leak", "reader", "steps"]
