"""Give every virtual machine the memory it is using, and the host the rest.

Importing this package imports nothing else: a device process, of which a host may run
thousands, must stay small.
"""

__version__ = "0.1.0"
