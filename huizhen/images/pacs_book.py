"""Which institution has which archive of images: a TOML file of its own, because it holds secrets.

[<institution id>]
url = "https://pacs.example.cn/dicom-web"
user = "huizhen"
password_file = "/etc/huizhen/pacs-password"     # or password, or token, or token_file
ca = "/etc/huizhen/hospital-ca.pem"              # where its certificate is the hospital's own
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ID = re.compile(r"[0-9a-f]{32}\Z")
_MEMBERS = frozenset({"url", "user", "password", "password_file", "token", "token_file", "ca"})
_OTHERS = 0o077


class PacsBookInvalid(Exception):
    """The file cannot be used; the text says why and holds no secret."""

    code = "config.invalid"


@dataclass(frozen=True, slots=True)
class PacsAddress:
    """Where an archive speaks DICOMweb. Secrets do not appear in its representation."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: Path | None = None


def read(path: Path | None) -> Mapping[str, PacsAddress]:
    """By institution id; empty without a file. Raises PacsBookInvalid."""
    if path is None:
        return {}
    try:
        if path.stat().st_mode & _OTHERS:
            raise PacsBookInvalid(f"{path}: others may read it; chmod 600")
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PacsBookInvalid(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise PacsBookInvalid(f"{path}: not TOML") from None
    return {name: _address(path, name, entry) for name, entry in told.items()}


def _address(path: Path, name: str, entry: Any) -> PacsAddress:
    where = f"{path}: [{name}]"
    if not _ID.match(name) or not isinstance(entry, dict):
        raise PacsBookInvalid(f"{where}: a section is named by an institution's id")
    if unknown := sorted(set(entry) - _MEMBERS):
        raise PacsBookInvalid(f"{where}: no such member {unknown[0]}")
    if not all(isinstance(value, str) for value in entry.values()):
        raise PacsBookInvalid(f"{where}: every member is a text")
    url = str(entry.get("url", "")).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in url:
        raise PacsBookInvalid(f"{where}: url is http(s)://host[:port]/path, without credentials")
    ca = Path(entry["ca"]) if "ca" in entry else None
    return PacsAddress(
        url, entry.get("user", ""), _secret(where, entry, "password"), _secret(where, entry, "token"), ca
    )


def _secret(where: str, entry: dict[str, str], member: str) -> str:
    if f"{member}_file" not in entry:
        return entry.get(member, "")
    try:
        return Path(entry[f"{member}_file"]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise PacsBookInvalid(f"{where}: {member}_file cannot be read") from None
