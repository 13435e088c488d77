"""Per-room sequence numbers and a bounded replay (pure). Beyond the replay a client gets a snapshot.

`epoch` names one life of the log: a new process, or a room that was closed and opened again, starts another.
Numbers count from 1 without holes; a client that has seen `seq` n asks for everything after n.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

REPLAY = 512  # events kept; ~10 minutes of a busy panel
RoomEvent = dict[str, Any]


class RoomLog:
    def __init__(self, epoch: str, replay: int = REPLAY) -> None:
        self.epoch = epoch
        self._seq = 0
        self._kept: deque[RoomEvent] = deque(maxlen=replay)

    @property
    def seq(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._seq

    def append(self, kind: str, body: Mapping[str, Any]) -> RoomEvent:
        """Number one event and keep it. Keys `epoch`, `seq` and `type` belong to the log."""
        self._seq += 1
        event: RoomEvent = {**body, "epoch": self.epoch, "seq": self._seq, "type": kind}
        self._kept.append(event)
        return event

    def since(self, epoch: str, seq: int) -> list[RoomEvent] | None:
        """Everything after `seq`, or None when only a snapshot can help (other epoch, too old, or never sent by us)."""
        if epoch != self.epoch or seq < 0 or seq > self._seq:
            return None
        missing = self._seq - seq
        if missing > len(self._kept):
            return None
        return list(self._kept)[len(self._kept) - missing :]
