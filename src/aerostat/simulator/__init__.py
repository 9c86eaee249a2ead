"""The simulator: modelled guests on modelled hosts, under a virtual clock and any policy.

Adapter. It runs the very `step` that the daemon runs.
"""
