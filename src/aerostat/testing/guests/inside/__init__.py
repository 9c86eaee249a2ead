"""What runs inside laboratory guests: on a bare interpreter, or on busybox.

`init` is PID 1 under user-mode Linux, and `workload` what its workers do; ``init.sh`` is PID 1
under QEMU, where `play` plays workloads. `alone` and ``alone.sh`` are PID 1 of guests that nobody
commands.
"""
