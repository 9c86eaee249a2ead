"""Stand-ins for one side of something, in memory or on a real socket: no kernel, no VMM.

For devices: `driver` and its `packed_ring`, a `frontend`, and all together as a `guest`. For links:
`still_guest`, in which nothing happens, and `guest_load`, many of them. For drivers: `pci` and
`sysfs`. For the manager: a `connector`, a `clock`, and a `house` with everything around it. For
connectors: a QMP `monitor`; and `libvirt`, as its helper tells of it, which is a `libvirt_program`.
"""
