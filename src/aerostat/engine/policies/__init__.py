"""Policies, one file each: ours, and the rules of other managers as they were published.

`base` says what a policy is; `catalogue` has them all by name.
"""
