"""What the packet core must do, written for reading: parsed packets, dictionaries, no tricks, no shared code.

Sequence numbers are *reserved* when a newer packet shows that one is missing; a late packet takes its reservation. The
core computes the same numbers from offsets.
"""

from dataclasses import dataclass, field
from struct import pack

from tests.rtc.golden.script import (
    EXTENSIONS,
    FIRST,
    MID,
    OUT_RTX,
    OUT_SSRC,
    PT_OUT,
    RTX_FIRST,
    RTX_OUT,
    SSRC,
    Aim,
    Receive,
    Repair,
    Step,
)

EARLY = 16


@dataclass
class Source:
    high: int = -1
    missing: set[int] = field(default_factory=set)
    kept: dict[int, "Packet"] = field(default_factory=dict)


@dataclass
class Packet:
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes

    @property
    def start(self) -> bool:
        """First packet of a key frame: S=1, PID=0, P=0 behind the six descriptor octets."""
        return bool(self.payload) and self.payload[0] & 0x17 == 0x10 and self.payload[6] & 1 == 0


class ReferenceCore:
    def __init__(self) -> None:
        self.sources = {name: Source() for name in SSRC}
        self.names = {ssrc: name for name, ssrc in SSRC.items()}
        self.current: str | None = None
        self.target: str | None = None
        self.owner_before: str | None = None
        self.out_next = FIRST  # the number the next new packet gets
        self.in_high = 0
        self.floor = 0
        self.reserved: dict[int, int] = {}
        self.owners: dict[int, tuple[str, int, int, int, int]] = {}  # out -> (source, in, ts, picture, tl0 offsets)
        self.offsets = (0, 0, 0)
        self.last: tuple[int, int, int, int] | None = None  # (timestamp, now, picture, tl0) of the newest sent
        self.wide = 0
        self.rtx_next = RTX_FIRST

    def step(self, step: Step) -> list[bytes]:
        match step:
            case Receive():
                return self.receive(step.packet, step.now_ns)
            case Aim():
                self.target = step.stream
                if step.stream is None:
                    self.current = None
                return []
            case Repair():
                return self.repair(step.sequence, step.now_ns)

    def receive(self, data: bytes, now: int) -> list[bytes]:
        name = self.names[int.from_bytes(data[8:12], "big")]
        source = self.sources[name]
        payload = data[12 : -data[-1]] if data[0] & 0x20 else data[12:]
        packet = Packet(0, int.from_bytes(data[4:8], "big"), bool(data[1] & 0x80), payload)
        number = self.accept(source, int.from_bytes(data[2:4], "big"))
        if number is None:
            return []
        packet.sequence = number
        source.kept[number] = packet
        return self.forward(name, packet, now)

    @staticmethod
    def accept(source: Source, sequence: int) -> int | None:
        if source.high < 0:
            source.high = sequence + 0x10000
            source.missing = {source.high - i for i in range(1, EARLY + 1)}
            return source.high
        near = source.high + (sequence - source.high + 0x8000) % 0x10000 - 0x8000
        if near > source.high:
            source.missing |= set(range(source.high + 1, near))
            source.high = near
            return near
        if near in source.missing:
            source.missing.remove(near)
            return near
        return None

    def forward(self, name: str, packet: Packet, now: int) -> list[bytes]:
        number = packet.sequence
        if name != self.current:
            if name != self.target or not packet.start:
                return []
            self.switch(name, packet, now)
            out = [self.emit(name, packet, self.take_new(name, number), now, newest=True)]
            for later in range(number + 1, self.sources[name].high + 1):
                if later in self.sources[name].kept:
                    out += self.forward(name, self.sources[name].kept[later], now)
            return out
        if number > self.in_high:
            for lost in range(self.in_high + 1, number):
                self.take_new(name, lost, reserve=True)
            self.in_high = number
            if not packet.payload:
                return []
            return [self.emit(name, packet, self.take_new(name, number), now, newest=True)]
        if not packet.payload or number < self.floor or number not in self.reserved:
            return []
        return [self.emit(name, packet, self.reserved.pop(number), now, newest=False)]

    def take_new(self, name: str, number: int, *, reserve: bool = False) -> int:
        out = self.out_next
        self.out_next += 1
        self.owners[out] = (name, number, *self.offsets)
        if reserve:
            self.reserved[number] = out
        return out

    def switch(self, name: str, packet: Packet, now: int) -> None:
        self.reserved.clear()
        picture_in, tl0_in = picture(packet.payload)
        if self.last is None:
            self.offsets = (0, 0, 0)
        else:
            timestamp, then, last_picture, last_tl0 = self.last
            shift = timestamp + max(900, (now - then) * 90_000 // 1_000_000_000) - packet.timestamp
            if self.owner_before == name:
                same = self.offsets[0]
                ahead = signed(packet.timestamp + same - timestamp)
                drift = signed(same - shift)
                if ahead >= 900 and abs(drift) < 90_000:
                    shift = same
            self.offsets = (shift % 2**32, last_picture + 1 - picture_in, last_tl0 + 1 - tl0_in)
        self.current = self.owner_before = name
        self.in_high = self.floor = packet.sequence

    def emit(self, name: str, packet: Packet, out: int, now: int, *, newest: bool) -> bytes:
        _, _, shift, picture_shift, tl0_shift = self.owners[out]
        picture_in, tl0_in = picture(packet.payload)
        if newest:
            self.last = (packet.timestamp + shift, now, picture_in + picture_shift, tl0_in + tl0_shift)
        return self.build(OUT_SSRC, PT_OUT, out, packet, (shift, picture_shift, tl0_shift), now)

    def build(
        self,
        ssrc: int,
        payload_type: int,
        out: int,
        packet: Packet,
        shifts: tuple[int, int, int],
        now: int,
        osn: bytes = b"",
    ) -> bytes:
        shift, picture_shift, tl0_shift = shifts
        picture_in, tl0_in = picture(packet.payload)
        payload = bytearray(packet.payload)
        payload[2:4] = pack("!H", 0x8000 | (picture_in + picture_shift) % 2**15)
        payload[4] = (tl0_in + tl0_shift) % 256
        self.wide = (self.wide + 1) % 65536
        stamp = (now * 2**18 // 10**9) % 2**24
        ids = EXTENSIONS
        elements = (
            bytes([(ids.abs_send_time or 0) * 16 + 2])
            + stamp.to_bytes(3, "big")
            + bytes([(ids.transport_cc or 0) * 16 + 1])
            + pack("!H", self.wide)
            + bytes([(ids.mid or 0) * 16 + len(MID) - 1])
            + MID.encode()
        )
        elements += bytes(-len(elements) % 4)
        head = pack(
            "!BBHII", 0x90, packet.marker * 128 + payload_type, out % 65536, (packet.timestamp + shift) % 2**32, ssrc
        )
        return head + pack("!HH", 0xBEDE, len(elements) // 4) + elements + osn + bytes(payload)

    def repair(self, sequence: int, now: int) -> list[bytes]:
        newest = self.out_next - 1
        out = newest - (newest - sequence) % 65536
        if out not in self.owners:
            return []
        name, number, shift, picture_shift, tl0_shift = self.owners[out]
        packet = self.sources[name].kept.get(number)
        if packet is None or not packet.payload:
            return []
        rtx = self.rtx_next
        self.rtx_next += 1
        return [self.build(OUT_RTX, RTX_OUT, rtx, packet, (shift, picture_shift, tl0_shift), now, pack("!H", sequence))]


def picture(payload: bytes) -> tuple[int, int]:
    return int.from_bytes(payload[2:4], "big") & 0x7FFF, payload[4]


def signed(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31
