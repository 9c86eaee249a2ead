"""Laboratory guests of every kind: real kernels, and processes that behave like one.

`uml`, `qemu`, `libvirt` and `process` are the kinds; `python` is a QEMU guest with Python inside.
They obey by their consoles: `console` that of user-mode Linux and of processes, `shell` that of
QEMU's and libvirt's. What they are made of: `boards`, `initramfs`, `modules`, and `parts`, which
says where it all is; `xstate` is for user-mode Linux where the processor has AMX. `inside` is what
runs in them.
"""
