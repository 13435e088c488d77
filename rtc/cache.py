"""The last packets of one incoming stream, for retransmission to viewers and for late starts. Bounded, never grows."""

from rtc.vp8 import Descriptor

Packet = tuple[int, int, int, bytearray, bool, Descriptor]
"""(extended sequence, RTP timestamp, marker and payload type octet, payload, begins a decodable start, descriptor).

One tuple per *received* packet, shared by every viewer: viewers map their own sequence numbers back to it, so a
packet is kept once however many people watch. An empty payload stands for a sequence number that carried nothing.
"""


class PacketCache:
    """A ring indexed by extended sequence number; `size` is a power of two."""

    __slots__ = ("mask", "ring")

    def __init__(self, size: int) -> None:
        if size < 1 or size & (size - 1):
            raise ValueError("cache size must be a power of two")
        self.mask = size - 1
        self.ring: list[Packet | None] = [None] * size

    def get(self, extended: int) -> Packet | None:
        packet = self.ring[extended & self.mask]
        return packet if packet is not None and packet[0] == extended else None

    def clear(self) -> None:
        self.ring = [None] * (self.mask + 1)
