"""The language of the golden suite: what any packet core must do, packet in, packets out.

A script is a list of steps over two VP8 streams ("a", "b") and one viewer slot. A core is anything that satisfies
`Core`; the Python core's adapter is `PythonCore`, a compiled core gets its own and runs the same scripts.
"""

from dataclasses import dataclass
from typing import Protocol

from rtc import keyframes
from rtc.ingress import IngressPath
from rtc.negotiation import Extensions, Kind
from rtc.receive_stream import ReceiveStream
from rtc.slot import EgressPath, Slot, SlotSpec

SSRC = {"a": 0x0A0A0A0A, "b": 0x0B0B0B0B}
OUT_SSRC, OUT_RTX = 0x0C0C0C0C, 0x0D0D0D0D
EXTENSIONS = Extensions(mid=4, abs_send_time=2, transport_cc=5)
MID = "v0"
PT_IN, PT_OUT, RTX_OUT = 96, 120, 121
FIRST, RTX_FIRST = 1000, 2000


@dataclass(frozen=True, slots=True)
class Receive:
    """A plaintext RTP packet arrives."""

    packet: bytes
    now_ns: int


@dataclass(frozen=True, slots=True)
class Aim:
    """Policy chooses a stream, or None to stop."""

    stream: str | None


@dataclass(frozen=True, slots=True)
class Repair:
    """The viewer's NACK names one outgoing sequence number."""

    sequence: int
    now_ns: int


Step = Receive | Aim | Repair


class Core(Protocol):
    def step(self, step: Step) -> list[bytes]:
        """The plaintext packets it sends for this step, in order."""


class PythonCore:
    """Adapter of `rtc.ingress` and `rtc.slot`."""

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._path = IngressPath(lambda *_: None)
        self._streams = {
            name: ReceiveStream(
                ssrc, Kind.VIDEO, 90_000, {PT_IN: keyframes.inspector("VP8")}, wants_nack=True, owner=name
            )
            for name, ssrc in SSRC.items()
        }
        for stream in self._streams.values():
            self._path.streams[stream.ssrc] = stream
        spec = SlotSpec(OUT_SSRC, OUT_RTX, EXTENSIONS, MID)
        self._slot = Slot(EgressPath(self._send), spec, audio=False, first_sequence=FIRST, rtx_sequence=RTX_FIRST)
        self._slot.connect({PT_IN: (PT_OUT, RTX_OUT)})
        for stream in self._streams.values():
            stream.sinks = [self._slot]

    def _send(self, buffer: bytearray, length: int) -> None:
        self._out.append(bytes(buffer[:length]))
        header = 16 + 4 * int.from_bytes(buffer[14:16], "big")
        buffer[header:length] = bytes(length - header)  # as encrypting in place would

    def step(self, step: Step) -> list[bytes]:
        self._out = []
        match step:
            case Receive():
                self._path.receive(memoryview(step.packet), step.now_ns)
            case Aim(None):
                self._slot.detach()
            case Aim():
                self._slot.target = self._streams[step.stream or ""]
            case Repair():
                self._slot.retransmit((step.sequence,), step.now_ns, 0)
        return self._out
