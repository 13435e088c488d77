"""Packet in, packets out: the fixed vectors, and any script against the reference model.

Regenerate the vectors (from the reference, never from a core) with `python -m tests.rtc.golden.vectors`.
"""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rtc.golden.reference import ReferenceCore
from tests.rtc.golden.script import FIRST, SSRC, Aim, Core, PythonCore, Receive, Repair, Step
from tests.rtc.golden.vectors import load, scenarios
from tests.support.rtp_factory import rtp, vp8_payload

MS = 1_000_000
CORES: dict[str, Callable[[], Core]] = {"python": PythonCore}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("name", sorted(scenarios()))
def test_fixed_vectors(core: str, name: str) -> None:
    machine = CORES[core]()
    vector = load()[name]
    assert vector, "a vector without steps proves nothing"
    for number, (step, expected) in enumerate(vector):
        assert machine.step(step) == expected, f"step {number}: {step}"


def test_vectors_are_those_of_the_reference() -> None:
    for name, steps in scenarios().items():
        reference = ReferenceCore()
        assert load()[name] == [(step, reference.step(step)) for step in steps], name


class _Source:
    def __init__(self, name: str, sequence: int) -> None:
        self.name = name
        self.sequence = sequence
        self.picture = 5

    def packet(self, delta: int, kind: str) -> bytes:
        sequence = self.sequence + delta
        self.sequence = max(sequence, self.sequence)
        if kind == "padding":
            return rtp(SSRC[self.name], sequence, sequence * 300 & 0xFFFFFFFF, b"", padding=7)
        body = bytes((sequence & 0xFF,)) * (1 + sequence % 5)
        payload = vp8_payload(sequence, sequence // 2, body, start=kind != "middle", key=kind == "key")
        return rtp(SSRC[self.name], sequence, sequence * 300 & 0xFFFFFFFF, payload, marker=kind == "marker")


KINDS = st.sampled_from(("key", "start", "middle", "marker", "padding"))
MOVES = st.one_of(
    st.tuples(st.just("in"), st.sampled_from("ab"), st.integers(-4, 4), KINDS),
    st.tuples(st.just("in"), st.sampled_from("ab"), st.just(1), st.just("middle")),
    st.tuples(st.just("aim"), st.sampled_from(("a", "b", None)), st.just(0), st.just("")),
    st.tuples(st.just("nack"), st.just("a"), st.integers(0, 40), st.just("")),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(MOVES, max_size=60), st.sampled_from((10, 65_530)), st.lists(st.integers(1, 9), min_size=60, max_size=60)
)
def test_any_script_matches_the_reference(moves: list[tuple[str, str, int, str]], first: int, times: list[int]) -> None:
    sources = {"a": _Source("a", first), "b": _Source("b", 30_000)}
    steps: list[Step] = [Aim("a")]
    now = 1_000_000 * MS
    for (what, name, number, kind), passed in zip(moves, times, strict=False):
        now += passed * 10 * MS
        if what == "in":
            steps.append(Receive(sources[name].packet(number, kind), now))
        elif what == "aim":
            steps.append(Aim(name))
        else:
            steps.append(Repair(FIRST + number, now))
    for make in CORES.values():
        core, reference = make(), ReferenceCore()
        seen: dict[tuple[bytes, bytes], bytes] = {}
        for step in steps:
            out = core.step(step)
            assert out == reference.step(step)
            for packet in out:
                key = (packet[8:12], packet[2:4])
                assert key not in seen, "a sequence number was used twice"
                seen[key] = packet
