"""SCP-ECG: what was packed comes out, what cannot be put together rightly is refused."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.images import scp
from huizhen.inspection.verdict import Refused
from tests.images.looking import Seen, look
from tests.support.scp import crc, record

BEAT = [int(300 * math.exp(-(((n % 400) - 100) ** 2) / 50)) - 20 for n in range(1000)]
TRACES = [BEAT, [value // 2 for value in BEAT], [-value for value in BEAT]]


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_traces_come_out_as_they_were(coded: bool, order: int) -> None:
    (group,), named = scp.traces(record(TRACES, coded=coded, order=order))
    assert group["samples"] == TRACES
    assert (group["hz"], [each["label"] for each in group["channels"]]) == (500.0, ["I", "II", "V1"])
    assert group["channels"][0] == {"label": "I", "unit": "uV", "scale": 2.5, "baseline": 0.0}
    assert (named.names, named.patient_id, named.birth_date, named.sex) == (("欧阳鹤",), "MZ1", "19700101", "F")


@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=60), st.sampled_from([0, 1, 2]))
def test_any_trace(trace: list[int], order: int) -> None:
    assert scp.traces(record([trace], order=order))[0][0]["samples"] == [trace]


def test_names_of_older_carts() -> None:
    assert scp.traces(record(TRACES, name="欧阳鹤".encode("gb18030")))[1].names == ("欧阳鹤",)
    assert scp.traces(record(TRACES, name=b"\xff\xff\xff"))[1].names == ()
    assert scp.traces(record(TRACES, born=(0, 0, 0)))[1].birth_date == "00000000"


def resummed(data: bytes) -> bytes:
    return struct.pack("<H", crc(data[2:])) + data[2:]


GOOD = record(TRACES)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (GOOD[:-1], "upload.damaged"),
        (GOOD[:300] + bytes([GOOD[300] ^ 1]) + GOOD[301:], "upload.damaged"),
        (resummed(GOOD[:300] + bytes([GOOD[300] ^ 1]) + GOOD[301:]), "upload.damaged"),
        (resummed(GOOD[:2] + struct.pack("<I", 24) + GOOD[6:24]), "upload.damaged"),
        (record(TRACES, table=1), "images.unsupported"),
        (record(TRACES, flags=1), "images.unsupported"),
        (record(TRACES, bimodal=1), "images.unsupported"),
        (record([], coded=False, order=0), "upload.too_complex"),
        (
            record([[30_000] * 2, [30_000] * 2], order=0).replace(
                b"\x01\0\0\0\x02\0\0\0", b"\x01\0\0\0\xff\xff\xff\x7f"
            ),
            "",
        ),
    ],
)
def test_what_is_not_whole_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        scp.traces(data)
    assert refused.value.code == code or not code


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes, at: int) -> None:
    data = GOOD[:at] + noise + GOOD[at + len(noise) :]
    with pytest.raises(Refused):
        scp.traces(data if data != GOOD else b"")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_by_its_sums(at: int, change: int) -> None:
    with pytest.raises(Refused):
        scp.traces(GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :])


async def test_through_the_child() -> None:
    found, broken = await look(GOOD, GOOD[:-2] + b"xx")
    assert isinstance(found, Seen)
    assert (found.opened.kind, found.opened.modality, found.opened.named.names) == ("waveform", "ECG", ("欧阳鹤",))
    assert b"MZ1" not in b"".join(found.frames)
    assert broken == "upload.damaged"
