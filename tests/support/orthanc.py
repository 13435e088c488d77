"""A real Orthanc of its own: free port, temporary folder, DICOMweb, a password; gone when the block ends."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from huizhen.images.pacs import basic

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "huizhen", "pacs secret 7"
_PATIENCE = 20.0


def missing() -> bool:
    return executable() is None or not PLUGIN.exists()


def executable() -> str | None:
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")


@dataclass(frozen=True, slots=True)
class Orthanc:
    url: str

    @property
    def dicomweb(self) -> str:
        return f"{self.url}/dicom-web"

    async def add(self, *files: bytes) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": basic(USER, PASSWORD)}) as session:
            for data in files:
                async with session.post(f"{self.url}/instances", data=data) as response:
                    assert response.status == 200, await response.text()


@asynccontextmanager
async def orthanc(folder: Path) -> AsyncIterator[Orthanc]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "Name": "TEST",
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "DefaultEncoding": "Utf8",
        "ConcurrentJobs": 1,
        "HttpThreadsCount": 4,
    }
    folder.mkdir(parents=True)
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    program = executable()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        made = Orthanc(f"http://127.0.0.1:{port}")
        async with asyncio.timeout(_PATIENCE):
            await _up(made)
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _up(made: Orthanc) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": basic(USER, PASSWORD)}) as session:
        while True:
            try:
                async with session.get(
                    f"{made.dicomweb}/studies", headers={"Accept": "application/dicom+json"}
                ) as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
