"""The fixed vectors: scenarios written here, expected packets recorded from the reference model into vectors.json."""

import json
from pathlib import Path

from tests.rtc.golden.reference import ReferenceCore
from tests.rtc.golden.script import FIRST, SSRC, Aim, Receive, Repair, Step
from tests.support.rtp_factory import rtp, vp8_payload

FILE = Path(__file__).with_name("vectors.json")
MS = 1_000_000
Vector = list[tuple[Step, list[bytes]]]


def _vp8(source: str, sequence: int, picture: int, *, key: bool = False, start: bool = True, at: int = 0) -> Receive:
    payload = vp8_payload(picture, picture // 2, bytes((sequence & 0xFF,)) * 8, start=start, key=key)
    return Receive(rtp(SSRC[source], sequence, picture * 3000, payload, marker=not start), (1000 + at) * MS)


def _padding(source: str, sequence: int, at: int) -> Receive:
    return Receive(rtp(SSRC[source], sequence, 1, b"", padding=200), (1000 + at) * MS)


def scenarios() -> dict[str, list[Step]]:
    key_then = [_vp8("a", 10, 7, key=True), _vp8("a", 11, 7, start=False, at=1)]
    return {
        "gated until a key frame": [Aim("a"), _vp8("a", 8, 5), _vp8("a", 9, 6, at=33), *key_then],
        "nothing without a target": [*key_then],
        "sequence wraps": [
            Aim("a"),
            _vp8("a", 65534, 1, key=True),
            _vp8("a", 65535, 2, at=33),
            _vp8("a", 0, 3, at=66),
            _vp8("a", 1, 4, at=99),
        ],
        "picture id wraps": [Aim("a"), _vp8("a", 1, 0x7FFF, key=True), _vp8("a", 2, 0x8000, at=33)],
        "switch continues every numbering": [
            Aim("a"),
            *key_then,
            Aim("b"),
            _vp8("b", 500, 90, at=20),
            _vp8("a", 12, 8, at=33),
            _vp8("b", 501, 91, key=True, at=40),
            _vp8("a", 13, 9, at=66),
            _vp8("b", 502, 92, at=73),
        ],
        "there and back": [
            Aim("a"),
            *key_then,
            Aim("b"),
            _vp8("b", 501, 91, key=True, at=40),
            Aim("a"),
            _vp8("a", 14, 10, key=True, at=100),
            _vp8("a", 15, 11, at=133),
        ],
        "padding closes the gap": [
            Aim("a"),
            *key_then,
            _padding("a", 12, 20),
            _padding("a", 13, 21),
            _vp8("a", 14, 8, at=33),
            _vp8("a", 16, 10, at=99),
            _vp8("a", 15, 9, at=100),
        ],
        "late packet before a closed gap": [
            Aim("a"),
            *key_then,
            _vp8("a", 13, 9, at=40),
            _padding("a", 14, 41),
            _vp8("a", 12, 8, at=50),
            _vp8("a", 15, 10, at=60),
        ],
        "duplicates vanish": [Aim("a"), *key_then, _vp8("a", 11, 7, start=False, at=2), _vp8("a", 12, 8, at=33)],
        "recovered key frame start releases what overtook it": [
            Aim("a"),
            _vp8("a", 9, 6),
            _vp8("a", 11, 7, start=False, at=10),
            _vp8("a", 12, 8, at=20),
            _vp8("a", 10, 7, key=True, at=60),
            _vp8("a", 13, 9, at=66),
        ],
        "retransmission on its own SSRC": [
            Aim("a"),
            *key_then,
            Repair(FIRST + 1, 1050 * MS),
            Repair(FIRST, 1051 * MS),
            Repair(FIRST + 2, 1052 * MS),
            Repair(FIRST - 1, 1053 * MS),
        ],
        "retransmission across a switch": [
            Aim("a"),
            *key_then,
            Aim("b"),
            _vp8("b", 501, 91, key=True, at=40),
            Repair(FIRST + 1, 1050 * MS),
            Repair(FIRST + 2, 1051 * MS),
        ],
        "stopping and resuming": [
            Aim("a"),
            *key_then,
            Aim(None),
            _vp8("a", 12, 8, at=33),
            Aim("a"),
            _vp8("a", 13, 9, at=66),
            _vp8("a", 14, 10, key=True, at=99),
        ],
    }


def load() -> dict[str, Vector]:
    return {name: [_read(item) for item in steps] for name, steps in json.loads(FILE.read_text()).items()}


def _read(item: dict[str, object]) -> tuple[Step, list[bytes]]:
    out = [bytes.fromhex(packet) for packet in item["out"]]  # type: ignore[attr-defined]
    now = int(str(item.get("now_ns", 0)))
    if "in" in item:
        return Receive(bytes.fromhex(str(item["in"])), now), out
    if "repair" in item:
        return Repair(int(str(item["repair"])), now), out
    return Aim(None if item["aim"] is None else str(item["aim"])), out


def _write(step: Step, out: list[bytes]) -> dict[str, object]:
    packets = [packet.hex() for packet in out]
    match step:
        case Receive():
            return {"in": step.packet.hex(), "now_ns": step.now_ns, "out": packets}
        case Repair():
            return {"repair": step.sequence, "now_ns": step.now_ns, "out": packets}
        case Aim():
            return {"aim": step.stream, "out": packets}


def main() -> None:
    recorded = {}
    for name, steps in scenarios().items():
        reference = ReferenceCore()
        recorded[name] = [_write(step, reference.step(step)) for step in steps]
    FILE.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
