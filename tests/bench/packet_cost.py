"""CPU per forwarded packet of the Python packet path, microseconds: rewrite + SRTP protect, with and without sendto.

Run: `python -m tests.bench.packet_cost [--seconds 2]`. One publisher, N viewers, 3 video packets (1100 octets) to 1
audio packet (120 octets), AES-128-GCM, transport-wide ids in, abs-send-time out. `receive` is the whole of
`Participant.on_rtp` for one packet with nobody watching; `unprotect` is libsrtp on the way in. The sendto rows use
loopback UDP to an undrained socket. CPU is user + system of this process.
"""

import argparse
import os
import random
import resource
import socket
import time
from collections.abc import Callable

from rtc.negotiation import Negotiated, Source
from rtc.participant import Grants
from rtc.room import Room
from rtc.srtp import TRAILER, SrtpProfile, SrtpSession
from rtc.transport import PacketReceiver, TransportState
from tests.support.conference import Diary
from tests.support.rtp_factory import UP, pool, publish_section, rtp, vp8_payload

KEY = bytes(range(28))


class BenchPath:
    """A MediaPath that really protects, and sends when it has a socket."""

    def __init__(self, target: tuple[str, int] | None) -> None:
        self.rtt: float | None = 0.05
        self.receiver: PacketReceiver | None = None
        self.state = TransportState.CONNECTED
        self.silent = False
        self.sent = 0
        self._protect = SrtpSession(SrtpProfile.AEAD_AES_128_GCM, KEY, inbound=False).protect_rtp
        self._target = target
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if target else None

    def send_rtp(self, buffer: bytearray, length: int) -> None:
        size = self._protect(buffer, length)
        self.sent += 1
        if self._socket is not None and self._target is not None:
            self._socket.sendto(memoryview(buffer)[:size], self._target)

    def send_rtcp(self, compound: bytes) -> None: ...

    def close(self, reason: str) -> None:
        if self._socket is not None:
            self._socket.close()


def packets(count: int) -> list[bytes]:
    """A publisher's traffic: key frame first, then 3 video packets per audio packet."""
    made: list[bytes] = []
    audio = video = 0
    for i in range(count):
        wide = i + 1
        ids = {UP.transport_cc or 0: (wide & 0xFFFF).to_bytes(2, "big"), UP.abs_send_time or 0: b"abc"}
        if i % 4 == 3:
            audio += 1
            ids |= {UP.audio_level or 0: b"\x1e", UP.mid or 0: b"0"}
            made.append(rtp(1, audio, audio * 960, bytes(92), payload_type=111, extensions=ids))
        else:
            start = video % 3 == 0
            payload = vp8_payload(video // 3, video // 3, bytes(1060), start=start, key=video == 0)
            ids |= {UP.mid or 0: b"1"}
            video += 1
            made.append(rtp(2, video, video // 3 * 3000, payload, marker=video % 3 == 0, extensions=ids))
    return made


def build(viewers: int, target: tuple[str, int] | None) -> tuple[Callable[[memoryview, int], None], list[BenchPath]]:
    room = Room("bench", Diary(), wall_offset_ns=0, now_ns=1, rng=random.Random(1))
    everything = Grants(frozenset(Source), subscribe=True)
    paths = []
    for i in range(viewers):
        path = BenchPath(target)
        paths.append(path)
        room.join(f"viewer{i}", everything).bind(path, Negotiated((), pool(1, 1)), 1)
    sections = (publish_section(Source.MICROPHONE, "0"), publish_section(Source.CAMERA, "1"))
    publisher = room.join("publisher", everything)
    publisher.bind(BenchPath(None), Negotiated(sections, ()), 1)
    return publisher.on_rtp, paths


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(viewers: int, traffic: list[bytes], target: tuple[str, int] | None) -> tuple[float, int]:
    """(CPU seconds, packets forwarded) of one pass over the traffic."""
    on_rtp, paths = build(viewers, target)
    views = [memoryview(packet) for packet in traffic]
    now = 1_000_000_000
    before = cpu()
    for view in views:
        now += 500_000
        on_rtp(view, now)
    spent = cpu() - before
    for path in paths:
        path.close("done")
    return spent, sum(path.sent for path in paths)


def unprotect_cost(traffic: list[bytes]) -> float:
    out = SrtpSession(SrtpProfile.AEAD_AES_128_GCM, KEY, inbound=False)
    session = SrtpSession(SrtpProfile.AEAD_AES_128_GCM, KEY, inbound=True)
    buffers = []
    for packet in traffic:
        buffer = bytearray(packet) + bytearray(TRAILER)
        buffers.append((buffer, out.protect_rtp(buffer, len(packet))))
    before = cpu()
    for buffer, size in buffers:
        session.unprotect_rtp(buffer, size)
    return (cpu() - before) * 1e6 / len(buffers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    traffic = packets(options.packets)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    print(f"python core, {len(traffic)} packets in, median of {options.runs}, load {os.getloadavg()[0]:.1f}")
    print(f"unprotect per packet in           {unprotect_cost(traffic):7.2f} us")
    alone = sorted(measure(0, traffic, None)[0] for _ in range(options.runs))[options.runs // 2]
    print(f"receive per packet in, no viewer  {alone * 1e6 / len(traffic):7.2f} us")
    for viewers in (1, 4, 16):
        for name, target in (("rewrite + protect", None), ("+ sendto loopback", sink.getsockname())):
            started = time.perf_counter()
            runs = sorted((measure(viewers, traffic, target) for _ in range(options.runs)), key=lambda run: run[0])
            spent, sent = runs[len(runs) // 2]
            elapsed = (time.perf_counter() - started) / options.runs
            print(
                f"1x{viewers:<3} {name:<18} {spent * 1e6 / max(1, sent):7.2f} us per forwarded packet"
                f"  ({sent} sent, {elapsed:.2f} s)"
            )
    sink.close()


if __name__ == "__main__":
    main()
