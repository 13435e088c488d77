"""An archive that lies, stalls, sends others' files or points elsewhere; and the file that names it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from huizhen.images import pacs
from huizhen.images.pacs import Archive, Archives, RemoteInstance, Wanted
from huizhen.images.pacs_book import PacsAddress, PacsBookInvalid, read
from huizhen.inspection.chamber import private_file
from huizhen.inspection.errors import UploadTooLarge
from imaging.errors import PacsUnavailable
from tests.support.liar import Liar

HOUSE = "a" * 32
ONE = RemoteInstance("1.3", 1, "1.4")


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    made = Liar()
    await made.server.start_server()
    yield made
    await made.server.close()


@pytest.fixture
async def archive(liar: Liar) -> AsyncIterator[Archive]:
    address = PacsAddress(str(liar.server.make_url("/dw")), "u", "p:w")
    async with Archives({HOUSE: address}).open(HOUSE) as found:
        assert found is not None
        yield found


def studies(*items: dict[str, Any]) -> str:
    return json.dumps(list(items))


def of(uid: str = "1.2", **more: Any) -> dict[str, Any]:
    return {"0020000D": {"vr": "UI", "Value": [uid]}} | {tag: {"vr": "XX", "Value": v} for tag, v in more.items()}


async def test_what_is_asked_and_with_whose_word(liar: Liar, archive: Archive) -> None:
    await archive.find(Wanted("H1", "A7", "20260101", ""))
    (asked,) = liar.asked
    assert asked.path == "/dw/studies"
    assert asked.query["PatientID"] == "H1"
    assert (asked.query["AccessionNumber"], asked.query["StudyDate"]) == ("A7", "20260101-")
    assert asked.headers["Authorization"] == "Basic dTpwOnc="
    assert asked.headers["Accept-Encoding"] == "identity"


async def test_a_redirect_is_never_followed(liar: Liar, archive: Archive) -> None:
    """An archive cannot make this server ask another one (SSRF)."""
    elsewhere = Liar()
    await elsewhere.server.start_server()
    for status in (301, 302, 303, 307, 308):
        liar.says(status=status, Location=str(elsewhere.server.make_url("/x")))
        with pytest.raises(PacsUnavailable):
            await archive.find(Wanted("H1"))
    assert elsewhere.asked == []
    await elsewhere.server.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[", b"<html>", b"[" * 200_000, b'"x"', b"\xff\xfe", b"[" + b"0," * 5_000_000 + b"0]"],
    ids=["empty", "object", "torn", "page", "deep", "text", "no UTF-8", "too large"],
)
async def test_what_is_no_list_is_no_answer(liar: Liar, archive: Archive, body: bytes) -> None:
    liar.says(body)
    with pytest.raises(PacsUnavailable):
        await archive.find(Wanted("H1"))


async def test_odd_items_are_left_out_and_odd_values_are_none(liar: Liar, archive: Archive) -> None:
    liar.says(
        studies(
            of(uid="../../admin"),
            of(uid="1" * 65),
            {"0020000D": "1.2"},
            of(
                "1.5",
                **{
                    "00100010": [{"Alphabetic": 7, "Ideographic": "王^" + "五" * 500}],
                    "00080020": ["2026030"],
                    "00080061": [5, "CT"],
                    "00201208": ["1e9"],
                    "00081030": ["a\x1bb\u202e"],
                },
            ),
            of("1.6", **{"00081030": ["CT of WANG"], "00100010": [{"Alphabetic": "WANG"}], "00201208": [3]}),
        )[:-1]
        + ',5,null,"x",[]]'
    )
    strange, plain = await archive.find(Wanted("H1"))
    assert (strange.uid, strange.day, strange.modalities, strange.instances) == ("1.5", "", ("CT",), 0)
    assert strange.description == "ab"
    assert len(strange.named.names[0]) == 128
    assert (plain.description, plain.instances) == ("", 3), "a description that names the patient is not told"


async def test_the_study_that_was_asked_for_or_none(liar: Liar, archive: Archive) -> None:
    liar.says(studies(of("1.9")))
    assert await archive.study("1.2") is None
    with pytest.raises(PacsUnavailable):
        await archive.study("1.2/../3")
    assert len(liar.asked) == 1


async def test_instances_in_one_order(liar: Liar, archive: Archive) -> None:
    rows = [("1.3", "2", "1.8"), ("1.3", "1", "1.9"), ("1.1", "1", "1.7"), ("1.3", "1", "1.9"), ("x", "1", "1.1")]
    liar.says(
        json.dumps(
            [
                {tag: {"Value": [v]} for tag, v in zip(("0020000E", "00200013", "00080018"), row, strict=True)}
                for row in rows
            ]
        )
    )
    assert [(one.series, one.uid) for one in await archive.instances("1.2")] == [
        ("1.1", "1.7"),
        ("1.3", "1.9"),
        ("1.3", "1.8"),
    ]
    liar.says(status=204)
    assert await archive.instances("1.2") == []


def multipart(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


async def test_a_file_in_its_envelope_or_without(liar: Liar, archive: Archive) -> None:
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    for body, content_type in ((multipart(b"file", b"second"), kind), (b"file", "application/dicom")):
        liar.says(body, Content_Type=content_type)
        with private_file() as target:
            assert await archive.fetch("1.2", ONE, target, 100) == 4
            target.seek(0)
            assert target.read() == b"file"
    assert liar.asked[-1].path == "/dw/studies/1.2/series/1.3/instances/1.4"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"no boundary", {"Content_Type": "multipart/related; boundary=b"}),
        (multipart(b"x")[:-20], {"Content_Type": "multipart/mixed"}),
        (b"\x1f\x8b" + bytes(50), {"Content_Encoding": "gzip", "Content_Type": "application/dicom"}),
        (
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
            {"Content_Type": "multipart/related; boundary=b"},
        ),
    ],
    ids=["no part", "no boundary named", "packed", "nested"],
)
async def test_an_envelope_that_is_none(liar: Liar, archive: Archive, body: bytes, headers: dict[str, Any]) -> None:
    liar.says(body, **headers)
    with private_file() as target, pytest.raises(PacsUnavailable):
        await archive.fetch("1.2", ONE, target, 1_000)


async def test_size_and_time_are_bounded(liar: Liar, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    liar.says(multipart(bytes(5_000)), Content_Type="multipart/related; boundary=b")
    with private_file() as target, pytest.raises(UploadTooLarge):
        await archive.fetch("1.2", ONE, target, 4_999)
    monkeypatch.setattr(pacs, "_ASK_SECONDS", 0.05)

    async def never(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None:
            await response.write(b" ")
            await request.loop.create_future()
        return response

    liar.answer = never
    with pytest.raises(PacsUnavailable):
        await archive.find(Wanted("H1"))


async def test_nobody_there_and_none_named(tmp_path: Path) -> None:
    archives = Archives({HOUSE: PacsAddress("http://127.0.0.1:9", token="t" * 20, ca=tmp_path / "no.pem")})
    assert archives.knows(HOUSE)
    with pytest.raises(PacsUnavailable):
        async with archives.open(HOUSE):
            pass
    async with Archives({HOUSE: PacsAddress("http://127.0.0.1:9", token="t")}).open(HOUSE) as archive:
        assert archive is not None
        with pytest.raises(PacsUnavailable):
            await archive.instances("1.2")
    async with archives.open("b" * 32) as archive:
        assert archive is None


def book(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "pacs.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_the_file_that_names_archives(tmp_path: Path) -> None:
    assert read(None) == {}
    (tmp_path / "secret").write_text("pass\n", encoding="utf-8")
    text = f'[{HOUSE}]\nurl = "https://p.cn:8043/dicom-web/"\nuser = "u"\nca = "/ca"\n'
    text += f'password_file = "{tmp_path}/secret"\n'
    address = read(book(tmp_path, text))[HOUSE]
    assert (address.url, address.user, address.password) == ("https://p.cn:8043/dicom-web", "u", "pass")
    assert "pass" not in repr(address).replace("password", "")
    assert read(book(tmp_path, f'[{HOUSE}]\nurl = "http://p"\ntoken = "t"\n'))[HOUSE].token == "t"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "not TOML"),
        ('[county]\nurl = "http://p"', "institution's id"),
        (f'{HOUSE} = "http://p"', "institution's id"),
        (f'[{HOUSE}]\nurl = "http://p"\npasword = "x"', "no such member"),
        (f"[{HOUSE}]\nurl = 5", "is a text"),
        (f'[{HOUSE}]\nurl = "file:///etc"', "url is"),
        (f'[{HOUSE}]\nurl = "http://u:p@h/"', "url is"),
        (f'[{HOUSE}]\nurl = "http://h/?x=1"', "url is"),
        (f'[{HOUSE}]\nurl = "http://h"\npassword_file = "/no/such"', "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(PacsBookInvalid, match=why):
        read(book(tmp_path, text))


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PacsBookInvalid, match="chmod 600"):
        read(book(tmp_path, "", 0o644))
    with pytest.raises(PacsBookInvalid, match="No such file"):
        read(tmp_path / "none")
