"""Sequence bookkeeping and the NACK schedule: examples, and a state machine over virtual time."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtc.keyframes import inspect_audio
from rtc.negotiation import Kind
from rtc.receive_stream import ReceiveStream

MS = 1_000_000
RTT = 80 * MS


def stream(kind: Kind = Kind.VIDEO) -> ReceiveStream:
    return ReceiveStream(1, kind, 90_000, {96: inspect_audio}, wants_nack=True)


def feed(receiver: ReceiveStream, sequence: int, now: int) -> int:
    extended = receiver.accept(sequence & 0xFFFF, now)
    if extended >= 0:
        receiver.packets += 1
    return extended


def test_a_gap_is_asked_for_after_a_moment_then_each_round_trip() -> None:
    receiver = stream()
    feed(receiver, 100, 0)
    feed(receiver, 103, 0)
    assert receiver.due_nacks(1 * MS, RTT) == []
    asked = [now for now in range(4, 2000, 4) if receiver.due_nacks(now * MS, RTT)]
    assert asked[0] == 4
    assert 100 <= asked[1] - asked[0] <= 104
    assert len(asked) <= 12
    assert receiver.missing == {}
    assert receiver.given_up == 2


def test_reordering_is_not_loss() -> None:
    receiver = stream()
    for sequence in (1, 3, 2, 5, 4):
        assert feed(receiver, sequence, 0) >= 0
    assert receiver.due_nacks(3 * MS, RTT) == []
    assert receiver.due_nacks(500 * MS, RTT) == []
    assert receiver.report(0).fraction_lost == 0


def test_what_overtook_the_first_packet_is_still_taken_but_never_asked_for() -> None:
    receiver = stream()
    feed(receiver, 10, 0)
    assert receiver.due_nacks(50 * MS, RTT) == []
    assert feed(receiver, 9, 60 * MS) >= 0
    assert receiver.due_nacks(400 * MS, RTT) == []
    assert feed(receiver, 8, 401 * MS) == -1
    assert receiver.given_up == 0


def test_duplicates_are_refused_for_ever() -> None:
    receiver = stream()
    assert feed(receiver, 7, 0) >= 0
    assert feed(receiver, 7, 0) == -1
    feed(receiver, 9, 0)
    assert feed(receiver, 8, 0) >= 0
    assert feed(receiver, 8, 0) == -1
    assert receiver.duplicates == 2


def test_silence_is_not_loss() -> None:
    receiver = stream(Kind.AUDIO)
    feed(receiver, 1, 0)
    receiver.report(0)
    feed(receiver, 2, 60_000 * MS)
    block = receiver.report(60_000 * MS)
    assert (block.fraction_lost, block.lost) == (0, 0)
    assert receiver.missing == {} or all(item.early for item in receiver.missing.values())


def test_a_restart_jumps_upwards_and_is_not_loss() -> None:
    receiver = stream()
    before = feed(receiver, 60_000, 0)
    receiver.restart()
    after = feed(receiver, 12, 10 * MS)
    assert after - before > 3000
    assert receiver.report(0).fraction_lost == 0
    far = feed(receiver, 30_000, 20 * MS)
    assert far - after > 3000
    assert receiver.due_nacks(200 * MS, RTT) == []


def test_report_counts_originals_only() -> None:
    receiver = stream()
    for sequence in range(100):
        if sequence % 10:
            feed(receiver, 1000 + sequence, 0)
    block = receiver.report(0)
    assert block.lost == 9  # the first, 1000, was never known
    assert block.fraction_lost == 9 * 256 // 99
    receiver.on_sender_report(0x1122334455667788, 5, 1000 * MS)
    later = receiver.report(1500 * MS)
    assert (later.lsr, later.dlsr) == (0x33445566, 32768)


def test_jitter_of_a_steady_stream_is_nothing() -> None:
    steady, shaky = stream(), stream()
    rng = random.Random(1)
    for i in range(200):
        for receiver, noise in ((steady, 0), (shaky, rng.randrange(30 * MS))):
            now = i * 100 * MS // 3 + noise
            feed(receiver, i, now)
            receiver.measure(i * 3000, now)
    assert steady.jitter < 2
    assert 300 < shaky.jitter < 2700


class NackMachine(RuleBasedStateMachine):
    """Whatever the network does: bounded work, no number asked for twice within a retry, none accepted twice."""

    def __init__(self) -> None:
        super().__init__()
        self.receiver = stream()
        self.now = 1_000_000 * MS
        self.next = 65_500
        self.lost: list[int] = []
        self.accepted: set[int] = set()
        self.asked: dict[int, list[int]] = {}

    @initialize()
    def first(self) -> None:
        self.arrive(0)

    def _take(self, number: int) -> None:
        extended = feed(self.receiver, number, self.now)
        if extended >= 0:
            assert extended not in self.accepted
            self.accepted.add(extended)

    @rule(skip=st.integers(0, 20))
    def arrive(self, skip: int) -> None:
        self.lost += range(self.next, self.next + skip)
        self.next += skip
        self._take(self.next)
        self.next += 1

    @rule(skip=st.integers(400, 2900))
    def outage(self, skip: int) -> None:
        self.next += skip
        self._take(self.next)
        self.next += 1

    @rule(data=st.data())
    def recover(self, data: st.DataObject) -> None:
        if self.lost:
            self._take(data.draw(st.sampled_from(self.lost[-50:])))

    @rule(back=st.integers(0, 30))
    def repeat(self, back: int) -> None:
        self._take(max(65_500, self.next - 1 - back))

    @rule(passed=st.integers(1, 300))
    def wait(self, passed: int) -> None:
        self.now += passed * MS
        for number in self.receiver.due_nacks(self.now, RTT):
            times = self.asked.setdefault(number, [])
            assert not times or self.now - times[-1] >= 20 * MS
            times.append(self.now)
            assert len(times) <= 12 * 3  # numbers wrap within a long run

    @invariant()
    def bounded(self) -> None:
        assert len(self.receiver.missing) <= 512 + 16


TestNackMachine = NackMachine.TestCase
TestNackMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
