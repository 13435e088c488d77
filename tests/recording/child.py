"""The recorder child driven in this process: a fake clock, a list of what it says."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from recording.sealed_file import SealedFile
from recording.segment_file import SegmentReport
from recording.tap import RecordingTap
from recording.wire import Kind, MessageReader, message
from recording.worker import RecorderChild
from rtc.sink import TapClock, TapPacket

KEY = bytes(range(32))
START = 1_700_000_000.0


class DrivenChild:
    """Tap and child joined without a process; time is the arrival time of what is fed."""

    def __init__(self, folder: Path, *, free: Callable[[Path], int] = lambda folder: 1 << 40, **plan: Any) -> None:
        self.now = START
        self.said: list[tuple[Kind, dict[str, Any]]] = []
        self.folder = folder
        self.child = RecorderChild(
            lambda kind, body: self.said.append((kind, body)),
            monotonic=lambda: self.now - START, unix=lambda: self.now, free_bytes=free,
        )  # fmt: skip
        self.tap = RecordingTap(self._tell)
        self._next_pump = START
        plan = {"target_seconds": 20.0, "max_seconds": 60.0, "floor": 0, "numbers": []} | plan
        self._tell(Kind.OPEN, {"recording": "rec", "folder": str(folder), "key": KEY.hex(), **plan})

    def _tell(self, kind: Kind, body: Any) -> None:
        for told in MessageReader().feed(message(kind, body)):
            self.child.handle(*told)

    def grant(self, *seats: str, seconds: float = 60.0) -> None:
        self._tell(Kind.GRANT, {"seats": list(seats), "deadline": self.now - START + seconds})
        self.tap.allow(frozenset(seats))

    def pump(self) -> None:
        if batch := self.tap.take():
            self._tell(Kind.MEDIA, batch)
        self.child.tick()

    def feed(self, events: Iterable[TapPacket | TapClock]) -> None:
        for event in events:
            self.advance(event.arrival)
            if isinstance(event, TapPacket):
                self.tap.write(event)
            else:
                self.tap.clock(event)

    def advance(self, until: float) -> None:
        while self._next_pump <= until:
            self.now = self._next_pump
            self.pump()
            self._next_pump += 0.1
        self.now = max(self.now, until)

    def stop(self) -> None:
        self.pump()
        self.child.stop()

    def count(self, kind: Kind) -> int:
        return sum(one is kind for one, _ in self.said)

    @property
    def reports(self) -> list[SegmentReport]:
        return [SegmentReport(**body) for kind, body in self.said if kind is Kind.SEGMENT]

    def plain(self, report: SegmentReport) -> bytes:
        return SealedFile(self.folder / report.file, KEY).whole()
