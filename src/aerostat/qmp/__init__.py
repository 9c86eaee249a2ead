"""The QEMU Machine Protocol, both ends, without I/O.

A session is fed the bytes that arrived and asked for the bytes to send; who carries them, and
when, is the caller's business. `ClientSession` speaks to QEMU and to our device processes,
`ServerSession` is how a device process answers. Written after QEMU's `docs/interop/qmp-spec`,
and after what QEMU 7.2 was seen to answer. Standard library only, and light: a device process
imports the server's half.

Nothing is imported here: the two halves are `aerostat.qmp.client` and `aerostat.qmp.server`.
"""
