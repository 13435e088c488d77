"""From a hand that moves over a picture to the others' screens: eight people at the image table, over real sockets.

    python -m tests.bench.bench_pointers [people] [seconds]

A server of its own on loopback; each person is a socket of its own that moves their hand 25 times a second and is told
of everybody else's. The figure is from the sender's clock to the receiver's, one process, so one clock.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import socketio

from audit.events import EventCode
from audit.transaction import AuditEvent
from clinic.consult import SeatState
from clinic.people import Role
from tests.huizhen.world import PASSWORD, Browser, World, _account, world_at
from tests.images.table import panel, sign
from tests.support.session_client import new_op

EVERY = 0.04
LIMIT_MS = 100


class Hand:
    """One person's socket."""

    def __init__(self, name: str, sent: dict[tuple[str, float], float], late: list[float]) -> None:
        self.name, self.sent, self.late = name, sent, late
        self.socket = socketio.AsyncClient(reconnection=False)
        self.socket.on("direct", self.hear)

    async def hear(self, told: dict[str, Any]) -> None:
        if told["type"] == "pointer" and (began := self.sent.get((told["seat"], told["x"]))) is not None:
            self.late.append((time.perf_counter() - began) * 1000)

    async def join(self, address: str, ticket: str) -> str:
        await self.socket.connect(address, auth={"ticket": ticket}, transports=["websocket"])
        ack = await self.socket.call("join", {"v": 1, "op": new_op(), "locale": "zh"})
        assert ack["ok"], ack
        return str(ack["snapshot"]["me"]["seat"])

    async def move(self, seat: str, seconds: float, begin: float) -> None:
        instance = uuid4().hex
        await asyncio.sleep(begin)
        for number in range(int(seconds / EVERY)):
            x = float(number) / 10
            self.sent[(seat, x)] = time.perf_counter()
            body = {"instance": instance, "frame": 0, "x": x, "y": 1.0, "count": number + 1}
            await self.socket.emit("table.point", body)
            await asyncio.sleep(EVERY)


async def main(people: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with world_at(Path(folder) / "data") as world:
            stage = await panel(world)
            await sign(stage.patient)
            doors = [stage.clinic, stage.expert]
            city, consult = world.houses["city"], stage.booked.consult
            for number in range(people - 2):
                login = f"city-more-{number}"
                async with world.db.begin() as tx:
                    door = world.parts.services.staff_door
                    hashed = await door.hash_password(PASSWORD)
                    person = await _account(tx, door, city, Role.EXPERT, hashed, login)
                    seat = replace(stage.booked.doctor, id=uuid4().hex, role=Role.EXPERT, person_id=person.id)
                    seat = replace(seat, home_institution_id=city.institution.id, state=SeatState.EXPECTED)
                    await tx.seats.add(seat)
                    await tx.append(
                        AuditEvent(EventCode.SEAT_ADDED, consult.institution_id, "system", consult.id, seat.id)
                    )
                doors.append(await world.login(login))
            await run(world, stage.consult, doors, seconds)


async def run(world: World, consult: str, doors: list[Browser], seconds: float) -> None:
    sent: dict[tuple[str, float], float] = {}
    late: list[float] = []
    hands: list[tuple[Hand, str]] = []
    for door in doors:
        reply = await door.post(f"/api/consults/{consult}/ticket")
        hand = Hand(str(len(hands)), sent, late)
        hands.append((hand, await hand.join(world.base, reply.body["ticket"])))
    busy, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(hand.move(seat, seconds, at * EVERY / len(hands)) for at, (hand, seat) in enumerate(hands)))
    await asyncio.sleep(0.5)
    share = (time.process_time() - busy) / (time.perf_counter() - began)
    late.sort()
    p95 = late[int(len(late) * 0.95)]
    told = f"{len(hands)} people, {len(late)} pointers told: median {statistics.median(late):.1f} ms"
    print(f"{told}, p95 {p95:.1f} ms, worst {late[-1]:.1f} ms; {share:.0%} of a core, the people's own sockets in it")
    for hand, _ in hands:
        await hand.socket.disconnect()
    assert p95 <= LIMIT_MS


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8, float(sys.argv[2]) if len(sys.argv) > 2 else 10))
