"""The recorder child: `python -m recording.worker`, one per recording, spoken to over stdin and stdout only.

It writes only for seats its grant names and only until the grant's deadline on the system-wide monotonic clock, so
neither a silent parent nor a wall clock set back can make it write longer. It ends when stdin closes (the parent
died), after sealing what it has. It never touches the database: it reports, the parent commits.
"""

import errno
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recording.containers import Lane
from recording.intake import StreamIntake
from recording.timeline import SenderOffset, StreamClock
from recording.track_writer import SegmentPlan, TrackReports, TrackWriter
from recording.wire import Kind, MediaClock, MessageReader, WireDamaged, fields, message, unpack_media

GRANT_CEILING = 60.0  # s: no message can permit more
TICK = 0.1  # s
BEAT = 1.0  # s
_KEY_INTERVAL = 1.0  # s between two requests for the same seat's key frame


@dataclass(slots=True)
class _Stream:
    seat_id: str
    track: str
    lane: Lane
    codec: str
    clock: StreamClock


class RecorderChild:
    """Everything but the pipes: messages in, reports out through `send`. Times are injected."""

    def __init__(
        self,
        send: Callable[[Kind, dict[str, Any]], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
        free_bytes: Callable[[Path], int] | None = None,
    ) -> None:
        self._send = send
        self._monotonic = monotonic
        self._unix = unix
        self._free_bytes = free_bytes or (lambda folder: shutil.disk_usage(folder).free)
        self._plan: SegmentPlan | None = None
        self._floor = 0
        self._deadline = 0.0
        self._seats: frozenset[str] = frozenset()
        self._streams: dict[int, _Stream] = {}
        self._intakes: dict[int, StreamIntake] = {}
        self._offsets: dict[str, SenderOffset] = {}
        self._tracks: dict[tuple[str, str], TrackWriter] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._keys_asked: dict[tuple[str, str], float] = {}
        self._next_beat = 0.0
        self._packets = 0
        self.stopping = False

    def handle(self, kind: Kind, body: bytes) -> None:
        """One message from the parent. Raises WireDamaged."""
        if kind is Kind.MEDIA:
            self._media(body)
            return
        told = fields(body)
        if kind is Kind.OPEN:
            self._open(told)
        elif kind is Kind.STREAM:
            offset = self._offsets.setdefault(told["seat"], SenderOffset())
            lane, clock = Lane(told["lane"]), StreamClock(int(told["rate"]), offset)
            self._streams[told["id"]] = _Stream(told["seat"], told["track"], lane, told["codec"], clock)
            if not StreamIntake(lane, told["codec"], clock).recordable:
                self._send(Kind.UNRECORDABLE, {"stream": told["id"]})
        elif kind is Kind.GRANT:
            self._grant(frozenset(told["seats"]), float(told["deadline"]))
        elif kind is Kind.ENDED:
            self._ended(told["id"])
        elif kind is Kind.STOP:
            self.stop()
        else:
            raise WireDamaged(f"kind {kind.name}")

    def tick(self) -> None:
        """Write what is due; to be called at least every TICK seconds."""
        now = self._monotonic()
        if self._tracks and now >= self._deadline:
            self._close(list(self._tracks))
            self._seats = frozenset()
            self._send(Kind.LAPSED, {})
        for address in list(self._tracks):
            self._guarded(address, lambda track: track.drain(self._unix()))
        self._ask_keys(now)
        if self._plan is not None and now >= self._next_beat:
            self._next_beat = now + BEAT
            self._send(Kind.BEAT, self._counters())
            if self._tracks and self._free_bytes(self._plan.folder) < self._floor:
                self._out_of_space()

    def stop(self) -> None:
        """Seal everything; the process then ends."""
        if not self.stopping:
            self._close(list(self._tracks))
            self.stopping = True
            self._send(Kind.STOPPED, self._counters())

    def _counters(self) -> dict[str, Any]:
        return {
            "packets": self._packets,
            "lost": sum(i.lost for i in self._intakes.values()),
            "malformed": sum(i.malformed for i in self._intakes.values()),
        }

    def _open(self, told: dict[str, Any]) -> None:
        folder = Path(told["folder"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._plan = SegmentPlan(
            told["recording"], folder, bytes.fromhex(told["key"]), told["target_seconds"], told["max_seconds"]
        )
        self._floor = told["floor"]
        for seat, track, number in told["numbers"]:
            self._numbers[seat, track] = number

    def _grant(self, seats: frozenset[str], deadline: float) -> None:
        self._deadline = min(deadline, self._monotonic() + GRANT_CEILING)
        self._seats = seats
        self._close([address for address in self._tracks if address[0] not in seats])

    def _media(self, body: bytes) -> None:
        granted = self._monotonic() < self._deadline
        for record in unpack_media(body):
            stream = self._streams.get(record.stream)
            if stream is None:
                continue
            if isinstance(record, MediaClock):
                stream.clock.report(record.rtp_timestamp, record.ntp, record.arrival)
            elif granted and stream.seat_id in self._seats and not self.stopping:
                self._packets += 1
                self._intake(record.stream, stream).packet(record.rtp, record.arrival)

    def _intake(self, ident: int, stream: _Stream) -> StreamIntake:
        intake = self._intakes.get(ident)
        if intake is None:
            assert self._plan is not None, "media before OPEN"
            intake = self._intakes[ident] = StreamIntake(stream.lane, stream.codec, stream.clock)
            address = (stream.seat_id, stream.track)
            track = self._tracks.get(address)
            if track is None:
                track = TrackWriter(*address, self._plan, lambda: self._next_number(address))
                self._tracks[address] = track
            track.attach(intake)
        return intake

    def _next_number(self, address: tuple[str, str]) -> int:
        number = self._numbers.get(address, 0)
        self._numbers[address] = number + 1
        return number

    def _ended(self, ident: int) -> None:
        """The last stream of a track ends its segment; another one's end is noticed by silence."""
        stream = self._streams.pop(ident, None)
        if stream is None:
            return
        address = (stream.seat_id, stream.track)
        if not any((s.seat_id, s.track) == address and i in self._intakes for i, s in self._streams.items()):
            self._close([address])
        self._intakes.pop(ident, None)

    def _close(self, addresses: list[tuple[str, str]]) -> None:
        for address in addresses:
            self._guarded(address, lambda track: track.finish(self._unix()))
            self._tracks.pop(address, None)
            for ident in [i for i, s in self._streams.items() if (s.seat_id, s.track) == address]:
                self._intakes.pop(ident, None)

    def _guarded(self, address: tuple[str, str], act: Callable[[TrackWriter], TrackReports]) -> None:
        track = self._tracks.get(address)
        if track is None:
            return
        try:
            reports = act(track)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
                raise
            self._out_of_space()
            return
        self._tell(address, reports)

    def _tell(self, address: tuple[str, str], reports: TrackReports) -> None:
        for number in reports.started:
            self._send(Kind.STARTED, {"seat": address[0], "track": address[1], "number": number})
        for report in reports.closed:
            self._send(Kind.SEGMENT, asdict(report))

    def _out_of_space(self) -> None:
        """Stop writing at once: the database needs the room that is left."""
        tracks, self._tracks, self._intakes = self._tracks, {}, {}
        self._seats = frozenset()
        for address, track in tracks.items():
            self._tell(address, track.abandon())
        self._send(Kind.NO_SPACE, {})

    def _ask_keys(self, now: float) -> None:
        wanted = [
            a for a, t in self._tracks.items() if t.wants_key and now - self._keys_asked.get(a, 0) > _KEY_INTERVAL
        ]
        if wanted:
            self._keys_asked.update(dict.fromkeys(wanted, now))
            self._send(Kind.KEY_WANTED, {"seats": sorted({seat for seat, _ in wanted})})


def run(source: int, target: int) -> None:
    """Serve the pipes until stdin closes or STOP. Blocking."""
    gone = False

    def send(kind: Kind, body: dict[str, Any]) -> None:
        nonlocal gone
        data = message(kind, body)
        while data and not gone:
            try:
                data = data[os.write(target, data) :]
            except BrokenPipeError:
                gone = True  # the parent died: still seal what we have

    child = RecorderChild(send)
    reader = MessageReader()
    send(Kind.READY, {"pid": os.getpid()})
    while not child.stopping:
        if select.select([source], [], [], TICK)[0]:
            data = os.read(source, 1 << 20)
            if not data:
                child.stop()
                return
            for kind, body in reader.feed(data):
                child.handle(kind, body)
        child.tick()


def main() -> None:
    # The server decides when the recorder ends: Ctrl-C in the terminal reaches the whole process group.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.umask(0o077)
    run(sys.stdin.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main()
