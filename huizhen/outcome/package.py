"""One institution's copy as a file: BagIt (RFC 8493) in a zip, its manifest sealed by that institution. Pure.

    <bag>/bagit.txt, bag-info.txt, manifest-sha256.txt, tagmanifest-sha256.txt
    <bag>/copy.json           {"manifest": {...}, "seal": JWS}, canonical JSON (RFC 8785)
    <bag>/data/...            what the manifest lists

`audit.verify.copy` reads it and shares no code with this. The same content gives the same bytes.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from clinic.documents import canonical, digest
from clinic.panels.outcome import SealedCopy
from consent.transaction import Sealer

TYPE = "huizhen.consult-copy"
_EPOCH = (2000, 1, 1, 0, 0, 0)  # a zip's times say nothing here


@dataclass(frozen=True, slots=True)
class Package:
    data: bytes
    manifest_sha256: str
    seal: str

    @property
    def sha256(self) -> str:
        return digest(self.data)


def packed(sealer: Sealer, copy: SealedCopy, holder: str, content: Mapping[str, bytes], made_at: datetime) -> Package:
    """`content`: file name -> bytes; `holder`: the institution's name."""
    manifest = _manifest(copy, holder, content, made_at)
    named = digest(canonical(manifest))
    seal = sealer.seal(copy.institution_id, named, int(made_at.timestamp()))
    bag = _bag(content, canonical({"manifest": manifest, "seal": seal}), made_at, holder)
    return Package(_zip(f"huizhen-{copy.consult_id}-{copy.id[:8]}", bag), named, seal)


def _manifest(copy: SealedCopy, holder: str, content: Mapping[str, bytes], made_at: datetime) -> dict[str, Any]:
    return {
        "type": TYPE,
        "v": 1 if "paper.pdf" in content else 2,  # a panel ended before anybody signed leaves no paper
        "id": copy.id,
        "consult": copy.consult_id,
        "holder": {"id": copy.institution_id, "name": holder},
        "inviting": copy.inviting_institution_id,
        "made_at": made_at,
        "files": [{"name": name, "size": len(data), "sha256": digest(data)} for name, data in sorted(content.items())],
    }


def _bag(content: Mapping[str, bytes], copy_json: bytes, made_at: datetime, holder: str) -> dict[str, bytes]:
    octets = sum(map(len, content.values()))
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": (
            f"Source-Organization: {holder}\nBagging-Date: {made_at:%Y-%m-%d}\nPayload-Oxum: {octets}.{len(content)}\n"
        ).encode(),
        "manifest-sha256.txt": _sums({f"data/{name}": data for name, data in content.items()}),
        "copy.json": copy_json,
    }
    tags["tagmanifest-sha256.txt"] = _sums(tags)
    return tags | {f"data/{name}": data for name, data in content.items()}


def _sums(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())).encode()


def _zip(folder: str, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()
