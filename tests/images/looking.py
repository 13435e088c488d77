"""Files through the real child."""

import json
from dataclasses import dataclass
from typing import Any, BinaryIO

import imagecodecs
from numpy.typing import NDArray

from huizhen.images import wire
from huizhen.images.chamber import ImageChamber, Looked, Part, close
from huizhen.inspection.chamber import private_file


@dataclass(frozen=True, slots=True)
class Seen:
    opened: wire.Opened
    metadata: dict[str, Any]
    previews: list[bytes]
    frames: list[bytes]

    def value(self, tag: str) -> Any:
        return self.metadata[tag]["Value"][0]

    def pixels(self, number: int = 0) -> NDArray[Any]:
        decoded: NDArray[Any] = imagecodecs.jpegls_decode(self.frames[number])
        return decoded

    def hounsfield(self, number: int = 0) -> NDArray[Any]:
        """What a viewer computes."""
        values: NDArray[Any] = self.pixels(number) * float(self.value("00281053")) + float(self.value("00281052"))
        return values


def parts_of(file: BinaryIO, files: list[bytes]) -> list[Part]:
    parts = []
    for data in files:
        parts.append(Part(file, file.tell(), len(data)))
        file.write(data)
    file.flush()
    return parts


async def look(*files: bytes, chamber: ImageChamber | None = None) -> list[Seen | str]:
    """What became of each: what is kept of it, or the code."""
    with private_file() as source:
        looked = await (chamber or ImageChamber()).look(parts_of(source, list(files)))
        try:
            return [_seen(each) for each in looked]
        finally:
            close(looked)


def _seen(looked: Looked) -> Seen | str:
    opened = looked.told.opened
    if opened is None:
        return looked.told.code
    looked.output.seek(looked.told.at)
    metadata = json.loads(looked.output.read(opened.metadata))
    previews = [looked.output.read(size) for size in opened.previews]
    return Seen(opened, metadata, previews, [looked.output.read(size) for size in opened.frames])


async def seen(data: bytes) -> Seen:
    (found,) = await look(data)
    assert isinstance(found, Seen), found
    return found
