"""Guests behind QMP monitors: QEMU's own balloon, and our device's control socket.

`connector` keeps a connection a guest; `link` is one of them; `balloons` finds what is behind it.
"""
