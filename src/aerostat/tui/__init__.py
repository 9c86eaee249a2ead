"""The terminal view: pure functions from snapshots of the manager to what rich can draw."""
