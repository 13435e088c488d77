"""The press: sets papers in short-lived children, a few at a time, each bounded in time, processor and memory."""

import asyncio
import base64
import contextlib
import json
import sys
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from consent.errors import ConsentError
from huizhen.evidence.paper import Paper, without_image

_WORKER = Path(__file__).with_name("press_worker.py")
_AT_ONCE = 2
_WAITING = 32
_SECONDS = 30.0
_LARGEST = 16 << 20
FAMILY = "Noto Sans SC"


class PaperFailed(ConsentError):
    """The paper could not be set: a character no font has, a time limit, a child that died."""

    code = "paper.failed"


class PressBusy(ConsentError):
    """More papers wait than will be ready soon."""

    code = "paper.busy"


class FontMissing(ConsentError):
    """The packaged Chinese font, or the folder the settings name, is not there."""

    code = "paper.font_missing"


@dataclass(frozen=True, slots=True)
class Fonts:
    """Folders to search, and the families in the order they are tried."""

    folders: tuple[str, ...]
    families: tuple[str, ...]


def fonts(own: Path | None, family: str) -> Fonts:
    """The packaged Noto Sans SC, before it what the settings name. Raises FontMissing."""
    if own is not None and not own.is_dir():
        raise FontMissing(str(own))
    try:
        import pylopdf_fonts_zh_cn as packaged
    except ImportError as error:
        raise FontMissing("pylopdf-fonts-zh-cn") from error
    folders = ([] if own is None else [str(own)]) + [str(packaged.sans_path().parent)]
    families = ([] if own is None or not family else [family]) + [FAMILY]
    return Fonts(tuple(folders), tuple(families))


class Press:
    """One per process."""

    def __init__(self, *, own_fonts: Path | None = None, family: str = "", seconds: float = _SECONDS) -> None:
        self._own_fonts = own_fonts
        self._family = family
        self._seconds = seconds
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def set(self, paper: Paper) -> bytes:
        """PDF/A-3b bytes; the same paper gives the same bytes. Raises PaperFailed, PressBusy, FontMissing."""
        chosen = fonts(self._own_fonts, self._family)
        if self._waiting >= _WAITING:
            raise PressBusy()
        self._waiting += 1
        try:
            async with self._free:
                try:
                    return await self._run(_job(paper, chosen))
                except _BadImage:
                    return await self._run(_job(without_image(paper), chosen))
        finally:
            self._waiting -= 1

    async def _run(self, job: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(_WORKER),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": "", "LC_ALL": "C.UTF-8"}, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds):
                pdf, said = await process.communicate(job)
        except TimeoutError:
            raise PaperFailed("time") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0 or not pdf.startswith(b"%PDF-") or len(pdf) > _LARGEST:
            if b"decode image" in said:
                raise _BadImage
            raise PaperFailed(said.decode("ascii", "replace")[:60] or str(process.returncode))
        return pdf


class _BadImage(Exception):
    """The signature's PNG does not decode."""


def _job(paper: Paper, chosen: Fonts) -> bytes:
    data = json.dumps(paper.data | {"fonts": list(chosen.families)}, ensure_ascii=False).encode()
    beside = {**paper.files, "main.typ": _template(paper.template), "data.json": data}
    encoded = {name: base64.b64encode(content).decode() for name, content in beside.items()}
    return json.dumps({"at": paper.at, "fonts": list(chosen.folders), "files": encoded}).encode()


@cache
def _template(name: str) -> bytes:
    return files("huizhen.evidence").joinpath(name).read_bytes()
