"""Resumable uploads through the real server: a killed line and a restart cost no byte that had arrived."""

import asyncio
import base64
import hashlib
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp.test_utils import TestServer

from clinic.people import Role
from huizhen.app import create_app
from huizhen.wiring import build
from tests.huizhen.world import Browser, Reply, World, operation
from tests.images.table import panel, value
from tests.support import dicom

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = "application/offset+octet-stream"


def told(sizes: list[int]) -> str:
    return "sizes " + base64.b64encode(",".join(map(str, sizes)).encode()).decode()


async def tus(browser: Browser, method: str, path: str, data: bytes | None = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return await browser.call(method, path, data=data, headers=TUS | {"X-Operation": operation()} | named)


async def begin(browser: Browser, consult: str, *files: bytes) -> str:
    sizes = [len(file) for file in files]
    reply = await tus(
        browser,
        "POST",
        f"/api/consults/{consult}/images/uploads",
        Upload_Length=str(sum(sizes)),
        Upload_Metadata=told(sizes),
    )
    assert reply.status == 201, reply.raw
    return reply.headers["Location"]


async def send(browser: Browser, path: str, offset: int, data: bytes, **more: str) -> Reply:
    return await tus(browser, "PATCH", path, data, Upload_Offset=str(offset), Content_Type=PIECE, **more)


async def killed(world: World, browser: Browser, path: str, data: bytes, length: int) -> None:
    """A PATCH of `length` bytes whose line dies once the server has taken `data`."""
    at, state = urlsplit(browser.base), world.parts.services.arrivals._known[path.rpartition("/")[2]]
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    cookie = f"hz_staff={browser.cookie('hz_staff')}"
    head = TUS | {
        "Host": at.netloc,
        "Cookie": cookie,
        "X-CSRF": browser.csrf,
        "X-Operation": operation(),
        "Upload-Offset": "0",
        "Content-Type": PIECE,
        "Content-Length": str(length),
    }
    lines = "".join(f"{name}: {text}\r\n" for name, text in head.items())
    writer.write(f"PATCH {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
    await writer.drain()
    while state.line is None or state.line.total_bytes < len(data) or state.line._buffer:
        await asyncio.sleep(0.001)
    writer.transport.abort()
    del reader


async def reached(browser: Browser, path: str) -> int:
    reply = await tus(browser, "HEAD", path)
    assert reply.status == 200, reply.headers
    return int(reply.headers["Upload-Offset"])


async def restarted(world: World, stack: AsyncExitStack) -> str:
    """The same installation in a new process, as far as a test can: all parts anew over the same folder."""
    await world.parts.close()
    world.parts = await build(world.parts.settings, world.clock)
    server = TestServer(create_app(world.parts))
    await server.start_server()
    stack.push_async_callback(server.close)
    return str(server.make_url("")).rstrip("/")


def series(count: int) -> list[bytes]:
    """Small slices of one series, cheap to make."""
    first = dicom.ct(0, 16, SOPInstanceUID="1.2.826.0.1.99.1000", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.2")
    return [first.replace(b"1.2.826.0.1.99.1000", b"1.2.826.0.1.99.%04d" % (1000 + number)) for number in range(count)]


async def test_a_series_of_500_goes_on_after_a_killed_line_and_a_restart(world: World) -> None:
    stage = await panel(world)
    files = series(500)
    deliveries = [files[at : at + 64] for at in range(0, 500, 64)]
    sent = 0
    async with AsyncExitStack() as stack:
        for number, batch in enumerate(deliveries):
            data = b"".join(batch)
            path = await begin(stage.clinic, stage.consult, *batch)
            at = 0
            if number == 2:
                await killed(world, stage.clinic, path, data[: len(data) // 2], len(data))
                at = await reached(stage.clinic, path)
                assert at == len(data) // 2
                sent += at
                stage.clinic.base = await restarted(world, stack)
                assert await reached(stage.clinic, path) == at, "what had arrived is still there"
            reply = await send(stage.clinic, path, at, data[at:])
            assert (reply.status, reply.headers["Upload-Offset"]) == (204, str(len(data)))
            sent += len(data) - at
            if number not in (2, 7):
                continue  # the chamber's own tests see hundreds
            done = await stage.clinic.post(f"{path}/finish")
            assert done.status == 200, done.raw
            assert len(done.body["00081199"]["Value"]) == len(batch)
        assert sent == sum(map(len, files)), "not one byte twice"
        (study,) = (await stage.clinic.get(f"/api/consults/{stage.consult}/images")).body["studies"]
        assert study["series"][0]["instances"] == 64 + 52
        again = await stage.clinic.post(f"{path}/finish")
        assert (again.status, again.body) == (200, done.body), "who lost the answer gets the same"
        await world.parts.edge.close()


async def test_each_step_is_asked_and_refusals_are_on_record(world: World) -> None:
    stage = await panel(world)
    base = f"/api/consults/{stage.consult}/images/uploads"
    able = await stage.clinic.call("OPTIONS", "/api/uploads")
    assert (able.status, able.headers["Tus-Version"]) == (204, "1.0.0")
    assert set(able.headers["Tus-Extension"].split(",")) == {"creation", "termination", "expiration", "checksum"}
    assert able.headers["Tus-Max-Size"] == str(256 << 20)
    path = await begin(stage.clinic, stage.consult, b"ab", b"c")
    assert (await tus(stage.expert, "POST", base, Upload_Length="3")).code == "access.denied"
    for method, where in (("HEAD", path), ("PATCH", path), ("DELETE", path)):
        stranger = await world.staff("city", Role.ATTENDING)
        assert (await tus(stage.expert, method, where, Upload_Offset="0", Content_Type=PIECE)).code == "access.denied"
        assert (await tus(stranger, method, where, Upload_Offset="0", Content_Type=PIECE)).code == "not_found"
    other = await panel(world)
    assert (await tus(other.clinic, "HEAD", path.replace(stage.consult, other.consult))).code == "not_found"
    for wrong, code in (
        ({"Upload_Length": "-1"}, "request.malformed"),
        ({"Upload_Length": "x"}, "request.malformed"),
        ({"Upload_Length": "0"}, "upload.empty"),
        ({"Upload_Length": "5", "Upload_Metadata": "sizes " + "A" * 5000}, "request.malformed"),
        ({"Upload_Length": "5", "Upload_Metadata": "sizes !!"}, "request.malformed"),
        ({"Upload_Length": "5", "Upload_Metadata": told([2, 2])}, "request.malformed"),
        ({"Upload_Length": "65", "Upload_Metadata": told([1] * 65)}, "upload.too_large"),
        ({"Upload_Length": str(1 << 40)}, "upload.too_large"),
        ({"Upload_Length": "5", "Tus_Resumable": "0.2.2"}, "upload.version"),
    ):
        assert (await tus(stage.clinic, "POST", base, None, **wrong)).code == code, wrong
    assert (await send(stage.clinic, path, 1, b"x")).code == "upload.offset"
    assert (await tus(stage.clinic, "PATCH", path, b"x", Upload_Offset="0")).code == "request.media_type"
    assert (await send(stage.clinic, path, 0, b"x", Upload_Checksum="md5 eA==")).code == "request.malformed"
    assert (await send(stage.clinic, path, 0, b"x", Upload_Checksum="sha1 !")).code == "request.malformed"
    damaged = await send(stage.clinic, path, 0, b"x", Upload_Checksum="sha1 " + base64.b64encode(b"no").decode())
    assert (damaged.status, damaged.code) == (460, "upload.checksum")
    right = base64.b64encode(hashlib.sha1(b"ab", usedforsecurity=False).digest()).decode()
    assert (await send(stage.clinic, path, 0, b"ab", Upload_Checksum=f"sha1 {right}")).status == 204
    assert (await stage.clinic.post(f"{path}/finish")).code == "upload.incomplete"
    assert (await send(stage.clinic, path, 2, b"cd")).code == "upload.too_large"
    assert (await tus(stage.clinic, "DELETE", path)).status == 204
    assert (await tus(stage.clinic, "HEAD", path)).code == "not_found"
    codes = [event.outcome for event in await stage.events() if event.code == "images.refused"]
    assert codes == ["upload.empty", "upload.too_large", "upload.too_large"]


async def test_hostile_files_and_an_ended_consult_are_refused_at_the_end(world: World) -> None:
    stage = await panel(world)
    files = (dicom.with_preamble(dicom.ct(0, 16), b"MZ"), b"<svg onload='x()'/>", dicom.deep_sequences())
    path = await begin(stage.clinic, stage.consult, *files)
    assert (await send(stage.clinic, path, 0, b"".join(files))).status == 204
    done = await stage.clinic.post(f"{path}/finish")
    failed = [value(item, "00000902") for item in done.body["00081198"]["Value"]]
    assert (done.status, failed) == (409, ["upload.hidden_content", "upload.unknown_type", "upload.too_complex"])
    assert (await stage.clinic.post(f"{path}/finish")).status == 409
    path = await begin(stage.clinic, stage.consult, dicom.ct(0, 16))
    await send(stage.clinic, path, 0, dicom.ct(0, 16))
    assert (await stage.clinic.post(f"/api/consults/{stage.consult}/cancel", reason_code="other")).status == 200
    assert (await stage.clinic.post(f"{path}/finish")).code in ("images.not_taken", "access.denied")
    assert (await stage.clinic.get(f"/api/consults/{stage.consult}/images")).status in (200, 403)


async def test_what_nobody_finishes_is_removed(world: World) -> None:
    stage = await panel(world)
    path = await begin(stage.clinic, stage.consult, bytes(9))
    await send(stage.clinic, path, 0, bytes(5))
    folder: Path = world.parts.settings.arriving_path
    assert len(list(folder.iterdir())) == 1
    world.clock.advance(hours=73)
    assert await world.parts.services.arrivals.expire() == 1
    assert list(folder.iterdir()) == []
