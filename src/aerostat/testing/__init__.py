"""The public kit for testing balloon devices and drivers, ours and other people's.

Importing the package imports none of its rooms.
"""
