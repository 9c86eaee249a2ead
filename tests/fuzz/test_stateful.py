"""Both ends of a ring, and of a conversation, in any order of what each may do, and may not."""

import os
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aerostat.errors import PeerError
from aerostat.testing.fuzz.targets.yard import PAGE, Yard
from aerostat.vhost_user import events, outcomes
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.framing import ConversationError
from aerostat.vhost_user.frontend import Frontend, RingPlan
from aerostat.virtio.chain import BadChain, Chain
from aerostat.virtio.driver_rings import driver_ring, lay_out_ring
from aerostat.virtio.features import RING_PACKED, bit
from aerostat.virtio.packed_ring import FRESH, PackedRing
from aerostat.virtio.ring import BrokenRing, DeviceSide
from aerostat.virtio.split_ring import SplitRing

RING, TABLE = PAGE, 4 * PAGE
OFFERED = 0x1_0000_003F


class Rings(RuleBasedStateMachine):
    """Chains are taken in the order in which they came, and come back once; whatever is broken,
    each side says so by an error of the peer's, and writes nowhere else."""

    @initialize(packed=st.booleans(), size=st.sampled_from([1, 2, 4, 8]))
    def make(self, packed: bool, size: int) -> None:
        self.yard = Yard()
        self.features = bit(RING_PACKED) if packed else 0
        self.layout = lay_out_ring(self.features, RING, size)
        self.driver = driver_ring(self.features, self.yard.memory, size, self.layout)
        self.size = size
        self.free = size
        self.tables = 0
        self.waiting: deque[tuple[int, int]] = deque()  # heads, and descriptors of each
        self.taken: deque[tuple[int, int]] = deque()
        self.used: list[tuple[int, int]] = []
        self.wild = False
        self.begin(None)

    def begin(self, base: int | None) -> None:
        desc, avail, used, _ = self.layout
        self.device: DeviceSide
        if self.features:
            self.device = PackedRing(
                self.yard.memory, self.size, desc, avail, used, FRESH if base is None else base
            )
        else:
            self.device = SplitRing(self.yard.memory, self.size, desc, avail, used, base)

    @rule(count=st.integers(1, 3), indirect=st.booleans())
    def offer(self, count: int, indirect: bool) -> None:
        needed = 1 if indirect else count
        if count > self.size or needed > self.free:
            return
        buffers = [(5 * PAGE + 64 * number, 64) for number in range(count)]
        self.tables = (self.tables + 1) % 16
        head = self.driver.add(buffers, table=TABLE + 64 * self.tables if indirect else 0)
        self.waiting.append((head, needed))
        self.free -= needed

    @rule()
    def take(self) -> None:
        chain = self.pop()
        if self.wild:
            return
        assert (chain is not None) == bool(self.waiting)
        if chain is not None:
            head, needed = self.waiting.popleft()
            assert chain.head == head
            assert chain.readable_length >= 64
            self.taken.append((head, needed))

    @precondition(lambda self: not self.taken)
    @rule()
    def take_and_put_back(self) -> None:
        before = self.device.base
        if self.pop() is not None:
            self.device.unpop()
            assert self.device.base == before

    def pop(self) -> Chain | None:
        try:
            return self.device.pop()
        except BadChain as error:
            assert self.wild
            return Chain(error.head, (), ())
        except BrokenRing:
            assert self.wild
            return None

    @precondition(lambda self: self.taken and not self.wild)
    @rule(written=st.integers(0, 2**32 - 1))
    def give_back(self, written: int) -> None:
        head, needed = self.taken.popleft()
        self.device.push(head, written)
        self.used.append((head, needed))

    @rule()
    def collect(self) -> None:
        try:
            heads = [used.head for used in self.driver.collect()]
        except BrokenRing:
            assert self.wild
            return
        if not self.wild:
            assert heads == [head for head, _ in self.used]
            self.free += sum(needed for _, needed in self.used)
            self.used = []

    @precondition(lambda self: not self.wild)
    @rule()
    def another_device(self) -> None:
        """Have another device go on: what the first had in hand is found again."""
        if len(self.taken) > 1:
            return  # a balloon has one in hand
        if self.taken:
            self.device.unpop()
            self.waiting.appendleft(self.taken.popleft())
        base = self.device.base
        self.device.release()
        self.begin(base)

    @rule(at=st.integers(0, 8 * 16 + 100), data=st.binary(min_size=1, max_size=8))
    @precondition(lambda self: len(self.used) > 1 or self.wild)
    def scribble(self, at: int, data: bytes) -> None:
        end = min(at + len(data), self.layout.end - RING)
        self.yard.memory.write(RING + at, data[: max(0, end - at)])
        self.wild = True

    @invariant()
    def nothing_else_is_written(self) -> None:
        if hasattr(self, "yard"):
            self.yard.check()
            assert self.yard.memory.read(0, RING) == bytes(RING)

    def teardown(self) -> None:
        if hasattr(self, "yard"):
            self.device.release()
            self.driver.release()


class Conversation(RuleBasedStateMachine):
    """What is begun ends, in its order, however bytes are cut; nonsense ends all, at one end."""

    def __init__(self) -> None:
        super().__init__()
        self.front = Frontend()
        self.back = Backend(features=OFFERED, ring_count=5, config_size=16)
        self.to_back = bytearray()
        self.to_front = bytearray()
        self.descriptors: deque[int] = deque()
        self.expected: deque[type] = deque([outcomes.Negotiated])
        self.refuses = False
        self.over = False
        self.front.negotiate()

    @precondition(lambda self: self.front.protocol_features and len(self.expected) < 4)
    @rule(what=st.integers(0, 6), ring=st.integers(0, 4))
    def begin(self, what: int, ring: int) -> None:
        plan = RingPlan(ring, 8, 0x1000, 0x2000, 0x3000, 0, kick=2, call=None)
        procedures: list[tuple[Callable[[], None], type]] = [
            (lambda: self.front.choose(OFFERED), outcomes.FeaturesChosen),
            (lambda: self.front.read_config(4, 4), outcomes.ConfigRead),
            (lambda: self.front.write_config(4, b"1234"), outcomes.ConfigWritten),
            (lambda: self.front.describe([plan]), outcomes.Described),
            (lambda: self.front.enable([ring]), outcomes.Enabled),
            (lambda: self.front.stop([ring]), outcomes.Stopped),
            (self.front.reset, outcomes.DeviceReset),
        ]
        begin, expected = procedures[what]
        begin()
        self.expected.append(expected)

    @rule(refuses=st.booleans())
    def mood(self, refuses: bool) -> None:
        """Have the back-end accept, or refuse, from now on."""
        self.refuses = refuses and self.front.protocol_features > 0

    @rule(size=st.integers(1, 64))
    def carry_there(self, size: int) -> None:
        """Let the back-end read what there is, in pieces of so many bytes at most."""
        while (message := self.front.next_message()) is not None:
            self.to_back += message.data
            self.descriptors += message.descriptors
        while self.to_back:
            piece = min(size, self.back.bytes_desired())
            data, self.to_back = self.to_back[:piece], self.to_back[piece:]
            # Descriptors are with the first byte of their message.
            try:
                self.back.receive(bytes(data), [] if self.back.within_message else self.brought())
                while (event := self.back.next_event()) is not None:
                    self.answer(event)
            except ConversationError:
                assert self.over
        self.to_front += self.back.data_to_send()

    def brought(self) -> list[int]:
        # One at most here: a kick.
        return [os.dup(self.descriptors.popleft())] if self.due_descriptor() else []

    def due_descriptor(self) -> bool:
        return bool(self.descriptors) and self.front.awaits is not None and (
            self.front.awaits.name == "SET_VRING_KICK"
        )  # fmt: skip

    def answer(self, event: events.Event) -> None:
        for part in event:
            if isinstance(part, OwnedDescriptor):
                part.close()
        match event:
            case events.Refused():
                pass
            case events.ConfigRead(_, size):
                self.back.reply_config(bytes(size))
            case events.RingStopped():
                self.back.reply_ring_base(7)
            case _:
                (self.back.refuse if self.refuses else self.back.accept)()

    @rule(size=st.integers(1, 64))
    def carry_back(self, size: int) -> None:
        """Let the front-end read what there is, in pieces of so many bytes at most."""
        while self.to_front:
            data, self.to_front = self.to_front[:size], self.to_front[size:]
            try:
                self.front.receive(bytes(data))
            except PeerError:
                assert self.over
        while (outcome := self.front.next_outcome()) is not None:
            assert isinstance(outcome, self.expected.popleft() | outcomes.Refused)

    @precondition(lambda self: self.front.protocol_features)
    @rule(data=st.binary(min_size=1, max_size=20), there=st.booleans())
    def nonsense(self, data: bytes, there: bool) -> None:
        (self.to_back if there else self.to_front).extend(data)
        self.over = True

    def teardown(self) -> None:
        self.front.close()
        self.back.close()


TestRings = pytest.mark.slow(Rings.TestCase)
TestRings.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=50)
TestConversation = pytest.mark.slow(Conversation.TestCase)
TestConversation.settings = TestRings.settings
