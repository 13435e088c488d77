"""A hospital's archive over DICOMweb: QIDO-RS, WADO-RS, and STOW-RS for reports. The only place that speaks to one.

Always the configured origin: paths are made here of identifiers that are digits and dots, redirects are not followed,
no proxy of the environment is asked, answers are bounded in time and size, nothing of the address is told or logged.
What comes is as hostile as an upload and goes the same way.
"""

import base64
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import aiohttp

from huizhen import logs
from huizhen.images.pacs_book import PacsAddress
from huizhen.inspection.errors import UploadTooLarge
from imaging.errors import PacsUnavailable
from imaging.fetching import FoundStudy
from imaging.identity import Named
from imaging.uids import well_formed

log = logs.get("pacs")

_ASK_SECONDS = 20.0
_FETCH_SECONDS = 60.0
_MOST_JSON = 8 << 20
_MOST_STUDIES = 100
_MOST_INSTANCES = 6_000
_CHUNK = 1 << 18
_TEXT = 128
_FIELDS = "00080061,00081030,00100030,00100040,00201208"  # modalities, description, birth date, sex, instances
_JSON = "application/dicom+json"
_FILE = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to search for. `patient_number`: of the hospital; dates as YYYYMMDD or "" each."""

    patient_number: str
    accession: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True, order=True)
class RemoteInstance:
    """One file at the archive."""

    series: str
    number: int
    uid: str


class Archives:
    """Every institution's own, opened for one piece of work at a time."""

    def __init__(self, book: Mapping[str, PacsAddress]) -> None:
        self._book = book

    def knows(self, institution_id: str) -> bool:
        return institution_id in self._book

    @asynccontextmanager
    async def open(self, institution_id: str) -> AsyncIterator["Archive | None"]:
        """None where the institution has none."""
        address = self._book.get(institution_id)
        if address is None:
            yield None
            return
        headers = {"Accept-Encoding": "identity"}
        if address.user:
            headers["Authorization"] = basic(address.user, address.password)
        elif address.token:
            headers["Authorization"] = f"Bearer {address.token}"
        async with aiohttp.ClientSession(
            headers=headers,
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(ssl=_trust(address)),
        ) as session:
            yield Archive(session, address.url)


def basic(user: str, password: str) -> str:
    """RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _trust(address: PacsAddress) -> ssl.SSLContext | bool:
    if address.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(address.ca))
    except (OSError, ssl.SSLError):
        raise PacsUnavailable("ca") from None


class Archive:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def find(self, wanted: Wanted) -> list[FoundStudy]:
        """Studies under a hospital number, whoever's they are. Raises PacsUnavailable."""
        query = {"PatientID": wanted.patient_number, "includefield": _FIELDS, "limit": str(_MOST_STUDIES)}
        if wanted.accession:
            query["AccessionNumber"] = wanted.accession
        if wanted.since or wanted.until:
            query["StudyDate"] = f"{wanted.since}-{wanted.until}"
        found = [_study(item) for item in await self._json("/studies", query)]
        return [study for study in found[:_MOST_STUDIES] if study is not None]

    async def study(self, uid: str) -> FoundStudy | None:
        """One study, by its identifier. Raises PacsUnavailable."""
        found = [
            _study(item)
            for item in await self._json("/studies", {"StudyInstanceUID": _uid(uid), "includefield": _FIELDS})
        ]
        return next((study for study in found if study is not None and study.uid == uid), None)

    async def instances(self, uid: str) -> list[RemoteInstance]:
        """Every file of a study, in a fixed order. Raises PacsUnavailable."""
        told = await self._json(f"/studies/{_uid(uid)}/instances", {"limit": str(_MOST_INSTANCES)})
        found = {one for item in told if (one := _instance(item)) is not None}
        return sorted(found)[:_MOST_INSTANCES]

    async def fetch(self, study: str, one: RemoteInstance, target: BinaryIO, most: int) -> int:
        """The file as the archive has it, appended to `target`; its size. Raises PacsUnavailable, UploadTooLarge."""
        path = f"/studies/{_uid(study)}/series/{_uid(one.series)}/instances/{_uid(one.uid)}"
        size = 0
        async with self._get(path, {}, _FILE, _FETCH_SECONDS) as response:
            async for chunk in _first_file(response):
                size += len(chunk)
                if size > most:
                    raise UploadTooLarge
                target.write(chunk)
        return size

    async def store(self, data: bytes) -> None:
        """One file into the archive (STOW-RS, PS3.18 10.5). Raises PacsUnavailable, also where it was not taken."""
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + data + f"\r\n--{boundary}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        headers = {"Accept": _JSON, "Content-Type": kind}
        timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS, sock_connect=5.0)
        try:
            async with self._session.post(
                f"{self._url}/studies", data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                raw = await response.content.read(_MOST_JSON)
                if response.status not in (200, 202) or not _taken(raw):
                    log.warning("the archive did not take a report", status=response.status)
                    raise PacsUnavailable(f"status {response.status}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("the archive does not answer", error=type(error).__name__)
            raise PacsUnavailable(type(error).__name__) from None

    async def _json(self, path: str, query: Mapping[str, str]) -> Sequence[Any]:
        async with self._get(path, query, _JSON, _ASK_SECONDS) as response:
            if response.status == 204:
                return []
            raw = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                raw += chunk
                if len(raw) > _MOST_JSON:
                    raise PacsUnavailable("answer too large")
        try:
            told = json.loads(raw)
        except (ValueError, RecursionError):
            raise PacsUnavailable("no JSON") from None
        if not isinstance(told, list):
            raise PacsUnavailable("no list")
        return told

    @asynccontextmanager
    async def _get(
        self, path: str, query: Mapping[str, str], accept: str, seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.get(
                self._url + path,
                params=query,
                headers={"Accept": accept},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=5.0),
            ) as response:
                if (
                    response.status not in (200, 204)
                    or response.headers.get("Content-Encoding", "identity") != "identity"
                ):
                    log.warning("the archive refused", status=response.status)
                    raise PacsUnavailable(f"status {response.status}")
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("the archive does not answer", error=type(error).__name__)
            raise PacsUnavailable(type(error).__name__) from None


async def _first_file(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """One instance is one part; some archives send it without the envelope. Raises ValueError."""
    if not response.content_type.startswith("multipart/"):
        async for chunk in response.content.iter_chunked(_CHUNK):
            yield chunk
        return
    part = await aiohttp.MultipartReader.from_response(response).next()
    if not isinstance(part, aiohttp.BodyPartReader):
        raise ValueError("nested")  # noqa: TRY004 (what was sent, not a wrong call)
    while chunk := await part.read_chunk(_CHUNK):
        yield bytes(chunk)


def _taken(raw: bytes) -> bool:
    """The answer names one stored file and none that failed."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return bool(_values(told, "00081199")) and not _values(told, "00081198")


def _uid(uid: str) -> str:
    """Of our own rows and of answers alike: nothing else than digits and dots becomes part of a path."""
    if not well_formed(uid):
        raise PacsUnavailable("identifier")
    return uid


def _values(item: Any, tag: str) -> list[Any]:
    element = item.get(tag) if isinstance(item, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _text(item: Any, tag: str) -> str:
    """The first value, if it is a short text or a number."""
    first = next(iter(_values(item, tag)), "")
    return str(first)[:_TEXT] if isinstance(first, (str, int)) else ""


def _count(item: Any, tag: str) -> int:
    text = _text(item, tag).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def _study(item: Any) -> FoundStudy | None:
    uid, day = _text(item, "0020000D"), _text(item, "00080020")
    if not uid or not well_formed(uid):
        return None
    spelt: Any = next(iter(_values(item, "00100010")), {})
    names = tuple(
        name[:_TEXT]
        for key in ("Alphabetic", "Ideographic", "Phonetic")
        if isinstance(spelt, dict) and isinstance(name := spelt.get(key), str) and name.strip()
    )
    named = Named(names, _text(item, "00100020"), _text(item, "00100030"), _text(item, "00100040"))
    modalities = sorted({str(each)[:16] for each in _values(item, "00080061") if isinstance(each, str)})[:8]
    description = _text(item, "00081030")
    hidden = any(secret and secret in description for secret in (*names, named.patient_id))
    return FoundStudy(
        uid=uid,
        named=named,
        day=day if len(day) == 8 and day.isdecimal() else "",
        modalities=tuple(modalities),
        description="" if hidden else "".join(filter(str.isprintable, description)),
        instances=_count(item, "00201208"),
    )


def _instance(item: Any) -> RemoteInstance | None:
    series, uid = _text(item, "0020000E"), _text(item, "00080018")
    if not (series and uid and well_formed(series) and well_formed(uid)):
        return None
    return RemoteInstance(series, _count(item, "00200013"), uid)
