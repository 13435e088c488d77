"""A delivery from the wire into one nameless file, counted: a single file, or the parts of a multipart/related body."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

from aiohttp import BodyPartReader, ClientPayloadError, web

from huizhen.images.chamber import Part
from huizhen.inspection.chamber import private_file
from huizhen.inspection.errors import UploadEmpty, UploadTooLarge
from huizhen.problems import RequestError
from imaging.keeping import AT_ONCE

_CHUNK = 1 << 18


@dataclass(slots=True)
class Delivery:
    """The owner closes the file."""

    file: BinaryIO
    parts: list[Part]


async def receive(request: web.Request, limit: int) -> Delivery:
    """Raises UploadTooLarge (before the first byte if it can), UploadEmpty, RequestError."""
    if (request.content_length or 0) > limit:
        raise UploadTooLarge
    delivery = Delivery(private_file(), [])
    try:
        if request.content_type.startswith("multipart/"):
            async for chunks in _parts(request):
                await _append(delivery, chunks, limit)
        else:
            await _append(delivery, request.content.iter_chunked(_CHUNK), limit)
        _end(delivery)
    except (ClientPayloadError, ConnectionError, web.RequestPayloadError, ValueError):
        delivery.file.close()
        raise RequestError("request.malformed") from None
    except BaseException:
        delivery.file.close()
        raise
    return delivery


async def _parts(request: web.Request) -> AsyncIterator[AsyncIterator[bytes]]:
    """Raises ValueError for a body that is not what its head says."""
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise ValueError("nested")  # noqa: TRY004 (what was sent, not a wrong call)
        yield _chunks(part)


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_CHUNK):
        yield bytes(chunk)


async def _append(delivery: Delivery, chunks: AsyncIterator[bytes], limit: int) -> None:
    """Raises UploadTooLarge."""
    at = delivery.file.tell()
    if len(delivery.parts) == AT_ONCE:
        raise UploadTooLarge
    async for chunk in chunks:
        if delivery.file.tell() + len(chunk) > limit:
            raise UploadTooLarge
        delivery.file.write(chunk)
    if size := delivery.file.tell() - at:
        delivery.parts.append(Part(delivery.file, at, size))


def _end(delivery: Delivery) -> None:
    """Raises UploadEmpty."""
    delivery.file.flush()
    if not delivery.parts:
        raise UploadEmpty
