"""One vhost-user conversation over real sockets, as one of many on an event loop.

Touches the connection to the device and the socket pair on which the device announces things.
Nothing here blocks and nothing raises: whatever goes wrong with the device ends the connection,
and its owner is told. Standard library only.
"""

import contextlib
import socket
from collections.abc import Callable

from aerostat.device.loop import READ, WRITE, Loop, Timer
from aerostat.errors import AerostatError, LinkError, PeerError
from aerostat.vhost_user import messages
from aerostat.vhost_user.channel import Channel
from aerostat.vhost_user.frontend import Frontend
from aerostat.vhost_user.outcomes import Negotiated, Outcome

# A device whose backlog is full is called again so soon.
_CONNECT_AGAIN_SECONDS = 0.05

# Acknowledgements that a device may leave unread on its channel; a flood ends there.
_MAX_UNSENT = 4096

_KIND = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK


class Connection:
    """Connects to the device at `path`, negotiates, and carries what `frontend` has to say.

    `timeout` is how long, in seconds, a device may take to answer one message; one that takes
    twice as long is certainly given up. Call `flush` after asking `frontend` for something.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        *,
        timeout: float,
        on_outcome: Callable[[Outcome], None],
        on_config_changed: Callable[[], None],
        on_lost: Callable[[AerostatError], None],
    ) -> None:
        self.frontend = Frontend()
        self.closed = False
        self._loop = loop
        self._path = path
        self._timeout = timeout
        self._on_outcome = on_outcome
        self._on_config_changed = on_config_changed
        self._on_lost = on_lost
        self._channel = Channel()
        self._socket = socket.socket(socket.AF_UNIX, _KIND)
        self._ours, self._theirs = socket.socketpair(type=_KIND)
        self._unsent: tuple[bytes, tuple[int, ...]] = (b"", ())
        self._channel_unsent = b""
        self._connected = False
        self._waits_to_write = False
        self._patience: Timer | None = None
        self._heard = False
        self.frontend.negotiate(self._theirs.fileno())
        self._again: Timer | None = loop.call_later(0.0, self._connect)
        self._be_patient()

    def flush(self) -> None:
        """Send what there is to say."""
        if not self._connected or self.closed:
            return
        try:
            self._send()
        except OSError as error:
            self._lose(self._gone(error))

    def close(self) -> None:
        """Hang up; nobody is told."""
        if self.closed:
            return
        self.closed = True
        for timer in (self._again, self._patience):
            if timer is not None:
                timer.cancel()
        for end in (self._socket, self._ours):
            self._loop.unwatch(end.fileno())
        for end in (self._socket, self._ours, self._theirs):
            end.close()
        self.frontend.close()
        self._channel.close()

    # ---- the conversation

    def _connect(self) -> None:
        try:
            self._socket.connect(self._path)
        except BlockingIOError:  # its backlog is full
            self._again = self._loop.call_later(_CONNECT_AGAIN_SECONDS, self._connect)
            return
        except OSError as error:
            self._lose(LinkError(f"no device at {self._path}: {error.strerror}"))
            return
        self._connected = True
        self._loop.watch(self._socket.fileno(), READ, self._ready)
        self._loop.watch(self._ours.fileno(), READ, self._channel_ready)
        self.flush()

    def _send(self) -> None:
        blocked = False
        while not blocked and self._next_to_send():
            data, descriptors = self._unsent
            try:
                sent = socket.send_fds(self._socket, [data], descriptors)
            except BlockingIOError:
                blocked = True
            else:
                # The descriptors went with the first byte.
                self._unsent = (data[sent:], () if sent else descriptors)
        if blocked != self._waits_to_write:
            self._waits_to_write = blocked
            self._loop.watch(self._socket.fileno(), READ | (WRITE if blocked else 0), self._ready)
        self._be_patient()

    def _next_to_send(self) -> bool:
        if not self._unsent[0]:
            message = self.frontend.next_message()
            if message is None:
                return False
            self._unsent = message
        return True

    def _ready(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._socket,
                self.frontend.bytes_desired(),
                messages.MAX_DESCRIPTORS,
                socket.MSG_CMSG_CLOEXEC,
            )
        except BlockingIOError:
            self.flush()
            return
        except OSError as error:
            self._lose(self._gone(error))
            return
        self._heard = True
        try:
            self.frontend.receive(data, descriptors)
        except PeerError as error:
            self._lose(error)
            return
        if not data:
            self._lose(self._gone())
            return
        while not self.closed and (outcome := self.frontend.next_outcome()) is not None:
            if isinstance(outcome, Negotiated):
                self._theirs.close()  # the device has its own by now
            self._on_outcome(outcome)
        self.flush()

    # ---- its end

    def _be_patient(self) -> None:
        if self._patience is None and not self.closed and self.frontend.awaits is not None:
            self._heard = False
            self._patience = self._loop.call_later(self._timeout, self._no_more_patience)

    def _no_more_patience(self) -> None:
        self._patience = None
        awaited = self.frontend.awaits
        if awaited is not None and not self._heard:
            said = f"request {awaited.name} for {self._timeout:g} s"
            self._lose(LinkError(f"the device at {self._path} does not answer {said}"))
        self._be_patient()

    def _gone(self, error: OSError | None = None) -> LinkError:
        reason = "it hung up" if error is None else error.strerror
        return LinkError(f"lost the device at {self._path}: {reason}")

    def _lose(self, error: AerostatError) -> None:
        if not self.closed:
            self.close()
            self._on_lost(error)

    # ---- the device's channel

    def _channel_ready(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._ours,
                self._channel.bytes_desired(),
                messages.MAX_DESCRIPTORS,
                socket.MSG_CMSG_CLOEXEC,
            )
        except BlockingIOError:
            return
        except OSError:  # closed, with something of ours unread
            data, descriptors = b"", []
        try:
            changed = self._channel.receive(data, descriptors)
        except PeerError as error:
            self._lose(error)
            return
        if not data:  # it may do without; whether the device is there is seen on its socket
            self._loop.unwatch(self._ours.fileno())
            return
        self._acknowledge()
        if changed and not self.closed:
            self._on_config_changed()

    def _acknowledge(self) -> None:
        self._channel_unsent += self._channel.data_to_send()
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            sent = self._ours.send(self._channel_unsent) if self._channel_unsent else 0
            self._channel_unsent = self._channel_unsent[sent:]
        if len(self._channel_unsent) > _MAX_UNSENT:
            self._lose(PeerError("the device does not read what it asked for"))
