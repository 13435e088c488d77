"""The pure pieces: numbers, presence, outcomes, rate limit, the session's two queues."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.people import Role
from signaling.chores import LIMIT, Chores
from signaling.errors import TokenRefused, problem_of
from signaling.outcomes import Outcomes
from signaling.ports import Caller, NoCounters
from signaling.presence import GRACE, LEASE, Presence, Whereabouts
from signaling.room_log import RoomLog
from signaling.session import EVENTS_PER_SECOND, HANDS_BEHIND, INBOX, OUTBOX, POINTS_PER_SECOND, RateLimit, Session
from tests.support.clock import START

CALLER = Caller("s" * 32, "c" * 32, "i" * 32, Role.PATIENT, "d" * 32)


@given(st.integers(0, 60), st.integers(-2, 70), st.integers(1, 20))
def test_replay_is_exactly_what_was_missed_or_nothing(written: int, seen: int, kept: int) -> None:
    log = RoomLog("e1", replay=kept)
    events = [log.append("chat", {"n": n}) for n in range(written)]
    assert [event["seq"] for event in events] == list(range(1, written + 1))
    replay = log.since("e1", seen)
    possible = 0 <= seen <= written and written - seen <= kept
    assert replay == (events[seen:] if possible else None)
    assert log.since("e2", seen) is None


def test_presence_lease_and_grace() -> None:
    presence = Presence()
    assert presence.arrive("a", "l1", "phone", START) is None
    presence.renew("a", "l1", START + LEASE / 2)
    assert presence.lapsed(START + LEASE) == []
    assert presence.lapsed(START + LEASE * 1.5) == [("a", "l1")]
    assert presence.lost("a", "l1", START + LEASE * 1.5)
    assert not presence.lost("a", "l1", START + LEASE * 2), "once"
    away = presence.get("a")
    assert away is not None
    assert away.whereabouts is Whereabouts.AWAY
    assert presence.overdue(START + LEASE * 1.5 + GRACE - timedelta(seconds=1)) == []
    assert presence.overdue(START + LEASE * 1.5 + GRACE) == ["a"]
    assert presence.arrive("a", "l2", "phone", START) is None
    assert presence.overdue(START + GRACE * 9) == []


def test_a_late_goodbye_of_a_replaced_connection_changes_nothing() -> None:
    presence = Presence()
    presence.arrive("a", "l1", "phone", START)
    assert presence.held_elsewhere("a", "tablet")
    assert not presence.held_elsewhere("a", "phone")
    assert presence.arrive("a", "l2", "tablet", START) == "l1"
    assert not presence.lost("a", "l1", START)
    assert len(presence) == 1
    presence.expect("a", START)
    assert presence.forget("a") == "l2"
    assert presence.forget("a") is None


async def test_an_operation_runs_once_also_when_resent_while_it_runs() -> None:
    outcomes, runs, go = Outcomes(kept=2), 0, asyncio.Event()

    async def act() -> dict[str, Any]:
        nonlocal runs
        runs += 1
        await go.wait()
        return {"ok": True, "n": runs}

    first = asyncio.create_task(outcomes.once("seat", "op1", act))
    second = asyncio.create_task(outcomes.once("seat", "op1", act))
    await asyncio.sleep(0)
    go.set()
    assert await first == {"ok": True, "n": 1}
    assert await second == {"ok": True, "n": 1, "repeated": True}
    assert await outcomes.once("other seat", "op1", act) == {"ok": True, "n": 2}
    await outcomes.once("seat", "op3", act)
    assert await outcomes.once("seat", "op1", act) == {"ok": True, "n": 4}, "forgotten: bounded"


async def test_a_crash_is_nobodys_outcome() -> None:
    outcomes, fail = Outcomes(), True

    async def act() -> dict[str, Any]:
        await asyncio.sleep(0)
        if fail:
            raise OSError("gone")
        return {"ok": True}

    first = asyncio.create_task(outcomes.once("seat", "op1", act))
    await asyncio.sleep(0)
    second = asyncio.create_task(outcomes.once("seat", "op1", act))
    with pytest.raises(OSError, match="gone"):
        await first
    fail = False
    assert (await second)["ok"]


async def test_chores_are_bounded_and_survive_a_failing_one() -> None:
    chores, done = Chores(NoCounters()), []

    async def bad() -> None:
        raise ValueError("no")

    async def good() -> None:
        done.append(1)

    chores.add("bad", bad)
    for _ in range(LIMIT + 50):
        chores.add("good", good)
    chores.start()
    await chores.close()
    await chores.close()
    assert len(done) == LIMIT - 1


@given(st.lists(st.floats(0, 0.2), max_size=300))
def test_no_more_than_the_rate_and_one_burst(gaps: list[float]) -> None:
    limit, now, passed = RateLimit(EVENTS_PER_SECOND, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        passed += limit.allow(now)
    assert passed <= EVENTS_PER_SECOND * (now + 1) + 1


class FakeWire:
    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.hung_up = 0

    async def emit(self, event: str, body: Mapping[str, Any]) -> None:
        await self.open.wait()
        self.sent.append((event, dict(body)))

    async def ack(self, ack_id: int, body: dict[str, Any]) -> None:
        await self.open.wait()
        self.sent.append(("ack", ack_id, body))

    async def hang_up(self) -> None:
        self.hung_up += 1


class Desk:
    """A handler that can be slow, and a session on it."""

    def __init__(self) -> None:
        self.wire, self.now = FakeWire(), 0.0
        self.ready = asyncio.Event()
        self.ready.set()
        self.handled: list[object] = []
        self.gone = 0
        self.session = Session("s1", CALLER, self.wire, self.handle, gone=self.note_gone, time=lambda: self.now)

    def note_gone(self, session: Session) -> None:
        assert session is self.session
        self.gone += 1

    async def handle(self, session: Session, event: object, body: object) -> dict[str, Any]:
        await self.ready.wait()
        self.handled.append(event)
        session.send("room", {"after": event})
        return {"ok": True, "event": event}

    async def settle(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)


async def test_events_are_worked_off_in_order_and_answered() -> None:
    desk = Desk()
    for number in range(5):
        desk.session.receive(f"e{number}", {}, number)
    desk.session.receive("silent", {}, None)
    await desk.settle()
    assert desk.handled == ["e0", "e1", "e2", "e3", "e4", "silent"]
    assert [item[1] for item in desk.wire.sent if item[0] == "ack"] == [0, 1, 2, 3, 4]
    desk.session.close("test")
    await desk.session.finished()
    assert desk.wire.hung_up == 1


async def test_a_slow_admission_blocks_nobody_and_a_full_inbox_refuses() -> None:
    desk = Desk()
    desk.ready.clear()
    for number in range(INBOX + 10):
        desk.now += 0.1
        desk.session.receive("slow", {}, number)  # returns at once
        if number == 0:
            await desk.settle()
    await desk.settle()
    refused = [item[1] for item in desk.wire.sent if item[0] == "ack" and item[2].get("code") == "session.busy"]
    assert refused == list(range(INBOX + 1, INBOX + 10))
    desk.ready.set()
    await desk.settle()
    assert len(desk.handled) == INBOX + 1
    desk.session.over()
    await desk.session.finished()


async def test_a_hand_over_a_picture_takes_nothing_from_what_is_said() -> None:
    desk = Desk()
    for _ in range(100):
        desk.session.receive("table.point", {}, None)
        await desk.settle()
    assert desk.handled == ["table.point"] * POINTS_PER_SECOND
    for number in range(EVENTS_PER_SECOND):
        desk.session.receive("said", {}, number)
    await desk.settle()
    assert desk.handled[POINTS_PER_SECOND:] == ["said"] * EVENTS_PER_SECOND
    desk.session.over()
    await desk.session.finished()


async def test_a_hand_that_moved_on_before_it_was_told_is_told_once() -> None:
    """Nothing of it queues up: under load there are fewer places, not later ones."""
    desk = Desk()
    for number in range(10):
        desk.session.receive("table.point", {"count": number}, number)
    await desk.settle()
    assert desk.handled == ["table.point"]
    acks = [item[1] for item in desk.wire.sent if item[0] == "ack" and item[2]["ok"]]
    assert sorted(acks) == list(range(10))
    desk.session.over()
    await desk.session.finished()


async def test_a_page_far_behind_is_told_no_hands() -> None:
    desk = Desk()
    for number in range(HANDS_BEHIND + 10):
        desk.session.send("direct", {"type": "pointer", "x": number})
    desk.session.send("direct", {"type": "table"})
    await desk.settle()
    told = [body["type"] for _, body in desk.wire.sent]
    assert told == ["pointer"] * (HANDS_BEHIND + 1) + ["table"]
    desk.session.over()
    await desk.session.finished()


async def test_a_flood_is_refused_not_queued() -> None:
    desk = Desk()
    for number in range(1000):
        desk.session.receive("flood", {}, number)
    await desk.settle()
    assert len(desk.handled) == EVENTS_PER_SECOND
    codes = {item[2].get("code") for item in desk.wire.sent if item[0] == "ack" and not item[2]["ok"]}
    assert codes == {"rate.limited"}
    assert desk.session.alive
    desk.now += 1
    desk.session.receive("later", {}, 5000)
    await desk.settle()
    assert desk.handled[-1] == "later"
    desk.session.over()
    await desk.session.finished()


async def test_a_page_that_does_not_read_is_hung_up() -> None:
    desk = Desk()
    desk.wire.open.clear()
    for number in range(OUTBOX + 5):
        desk.session.send("room", {"n": number})
    assert not desk.session.alive
    desk.wire.open.set()
    await desk.session.finished()
    assert desk.wire.hung_up == 1
    assert len(desk.wire.sent) <= 1


async def test_a_message_that_closes_its_own_session_is_still_answered() -> None:
    desk = Desk()

    async def end(session: Session, event: object, body: object) -> dict[str, Any]:
        session.send("room", {"type": "ended"})
        session.close("ended")
        session.send("room", {"type": "too late"})
        return {"ok": True}

    desk.session._handle = end
    desk.session.receive("end", {}, 7)
    await desk.session.finished()
    assert desk.wire.sent == [("room", {"type": "ended"}), ("ack", 7, {"ok": True})]
    assert desk.wire.hung_up == 1


async def test_what_is_under_way_is_finished_when_the_socket_goes() -> None:
    desk = Desk()
    desk.ready.clear()
    desk.session.receive("end", {}, 1)
    desk.session.receive("never begun", {}, 2)
    await desk.settle()
    desk.session.over()
    desk.session.over()
    assert desk.gone == 1
    desk.ready.set()
    await desk.session.finished()
    assert desk.handled == ["end"]
    assert desk.wire.sent == []


def test_problems_for_http() -> None:
    status, body = problem_of(TokenRefused("token.expired"))
    assert (status, body["code"], body["status"]) == (401, "token.expired", 401)
    assert problem_of(OSError("secret"))[1] == {
        "type": "urn:huizhen:server.internal",
        "title": "server.internal",
        "status": 500,
        "code": "server.internal",
    }
