"""The vhost-user conversation: messages, descriptors, the sides of both ends, sans-I/O.

Standard library only; no socket is touched here (see `aerostat.device` for one that is).
"""

from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.framing import ConversationError

__all__ = ["Backend", "ConversationError", "OwnedDescriptor"]
