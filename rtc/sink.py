"""Where a received packet goes: the one-method interface that slots and recording taps share, and the taps' face."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rtc.cache import Packet
from rtc.negotiation import Codec, Source

if TYPE_CHECKING:
    from rtc.receive_stream import ReceiveStream


class Sink(Protocol):
    """Takes every accepted packet of the streams it is listed at; decides by itself whether it is for it."""

    def forward(self, stream: "ReceiveStream", packet: Packet, now_ns: int) -> None:
        """`packet` is shared and must not be changed. An empty payload means: close this gap, nothing to send."""


@dataclass(frozen=True, slots=True)
class TapPacket:
    """A plain RTP packet of one continuous SSRC / sequence / timestamp space per (participant, source).

    `arrival` is unix seconds. Padding-only packets never appear; video starts on a key frame.
    """

    participant_id: str
    source: Source
    codec: Codec
    rtp: bytes
    arrival: float


@dataclass(frozen=True, slots=True)
class TapClock:
    """At `ntp` (the sender's unix seconds) the media stood at `rtp_timestamp` (in the tap's own space)."""

    participant_id: str
    source: Source
    rtp_timestamp: int
    ntp: float
    arrival: float


class Tap(Protocol):
    """A recorder's view of a room. Called on the event loop; must not block."""

    def wants(self, participant_id: str, source: Source) -> bool:
        """Asked on attach, when a producer starts, and on `Room.refresh_taps`."""

    def write(self, packet: TapPacket) -> None:
        """Packets in arrival order, recovered ones included."""

    def clock(self, report: TapClock) -> None: ...

    def ended(self, participant_id: str, source: Source, reason: str) -> None:
        """No packet of this stream will follow (until `wants` is asked again for it)."""
