"""Guests whose balloon sends no statistics, read by their QEMU guest agent.

`with_agent` stands before any connector; `figures` is what an agent is asked, and `sockets` how
those of plain QEMU are reached.
"""
