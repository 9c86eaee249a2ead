"""What the host says of itself: its memory, its memory pressure, what a process holds.

Each room separates reading a file of `/proc` from understanding it. Standard library only.
"""
