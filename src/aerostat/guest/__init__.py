"""The balloon's driver inside a real Linux guest, in user space, over virtio-pci.

An adapter. Runs on Python 3.9 and later with the standard library alone, as root, in place of
the kernel's own driver.
"""
