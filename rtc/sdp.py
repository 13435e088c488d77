"""Session descriptions (RFC 8866) as offered by a WebRTC client: text in, frozen dataclasses out.

Pure structure, no policy: what this server accepts is decided in `answerer`. The only error raised here is ParseError.
Everything is bounded: an offer is attacker-controlled text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from rtc.errors import ParseError

MAX_SIZE = 256 * 1024  # characters; a Chromium offer of 30 sections has about 130 thousand
MAX_LINE = 4096
MAX_SECTIONS = 64
MAX_LINES_PER_SECTION = 600
MAX_SSRCS = 64

_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}\Z")
_ICE = re.compile(r"[A-Za-z0-9+/=_\-]{4,256}\Z")  # RFC 8839 ice-char; '-', '_', '=' seen in the wild
_RID = re.compile(r"[A-Za-z0-9]{1,32}\Z")  # RFC 8851 with the RFC 8852 limits: no '-' or '_'
_HEX_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){7,127}\Z")
_CODEC = re.compile(r"([A-Za-z0-9_.\-]{1,32})/(\d{1,8})(?:/(\d{1,2}))?\Z")


class Direction(StrEnum):
    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    algorithm: str  # lower case: "sha-256"
    value: str  # upper-case hex pairs joined by ":"


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type of a section, as written (rtx, red and friends included)."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    fmtp: str
    feedback: frozenset[str]

    def parameter(self, name: str) -> str | None:
        for item in self.fmtp.split(";"):
            key, _, value = item.strip().partition("=")
            if key.lower() == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One m= section."""

    kind: str  # "audio", "video", "application", ...
    port: int
    protocol: str
    formats_text: str  # verbatim, to be echoed when the section is rejected
    mid: str
    direction: Direction
    bundle_only: bool
    rtcp_mux: bool
    rtcp_rsize: bool
    ice_ufrag: str | None
    ice_pwd: str | None
    setup: str | None
    fingerprints: tuple[Fingerprint, ...]
    formats: tuple[Format, ...]
    extensions: dict[str, int] = field(hash=False)  # URI -> id
    rids: tuple[str, ...] = ()  # simulcast send, as ordered by the offerer
    ssrcs: tuple[int, ...] = ()  # every a=ssrc, in order
    repair: dict[int, int] = field(default_factory=dict, hash=False)  # ssrc -> its RTX ssrc, from FID groups

    @property
    def live(self) -> bool:
        """Not stopped: port 0 counts as live only with bundle-only (RFC 9143 section 6)."""
        return self.port != 0 or self.bundle_only


@dataclass(frozen=True, slots=True)
class SessionDescription:
    session: str  # o= user name and session id: identifies the peer connection, not the offer
    bundle: tuple[str, ...]
    ice_lite: bool
    media: tuple[MediaDescription, ...]


@dataclass(slots=True)
class _Lines:
    """Attributes of the session part or of one section, by name, in order of appearance."""

    head: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    def add(self, text: str) -> None:
        self.count += 1
        if self.count > MAX_LINES_PER_SECTION:
            raise ParseError("too many lines in a section")
        name, _, value = text.partition(":")
        self.attributes.setdefault(name, []).append(value.strip())

    def first(self, name: str) -> str | None:
        values = self.attributes.get(name)
        return values[0] if values else None

    def every(self, name: str) -> list[str]:
        return self.attributes.get(name, [])

    def __contains__(self, name: str) -> bool:
        return name in self.attributes


def parse(text: str) -> SessionDescription:
    """Read an offer. Raises ParseError on anything that is not a well-formed description."""
    if len(text) > MAX_SIZE:
        raise ParseError("description too long")
    if not text.startswith("v=0"):
        raise ParseError("not a session description")
    session, sections = _split(text)
    bundle: tuple[str, ...] = ()
    for group in session.every("group"):
        name, *mids = group.split() or [""]
        if name == "BUNDLE" and not bundle:
            bundle = tuple(mids)
    media = tuple(_media(lines, session) for lines in sections)
    mids = [m.mid for m in media]
    if len(set(mids)) != len(mids):
        raise ParseError("two sections with one mid")
    return SessionDescription(
        session=session.head,
        bundle=bundle,
        ice_lite="ice-lite" in session,
        media=media,
    )


def _split(text: str) -> tuple[_Lines, list[_Lines]]:
    session, sections = _Lines(), list[_Lines]()
    current = session
    for line in _lines(text):
        kind, value = line[0], line[2:]
        if kind == "m":
            if len(sections) == MAX_SECTIONS:
                raise ParseError("too many sections")
            current = _Lines(head=value)
            sections.append(current)
        elif kind == "a":
            current.add(value)
        elif kind == "o" and current is session:
            fields = value.split()
            if len(fields) != 6:
                raise ParseError("bad origin")
            session.head = f"{fields[0]} {fields[1]}"
    if not session.head:
        raise ParseError("no origin")
    return session, sections


def _lines(text: str) -> Iterator[str]:
    for raw in text.split("\n"):
        line = raw.rstrip("\r")
        if not line:
            continue
        if len(line) > MAX_LINE or len(line) < 2 or line[1] != "=":
            raise ParseError("bad line")
        if not line.isprintable():
            raise ParseError("control character")
        yield line


def _number(text: str, highest: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > highest:
        raise ParseError(f"bad {what}")
    return int(text)


def _media(lines: _Lines, session: _Lines) -> MediaDescription:
    head = lines.head.split()
    if len(head) < 4:
        raise ParseError("bad media line")
    kind, port, protocol, *formats = head
    mid = lines.first("mid")
    if mid is None or not _TOKEN.match(mid) or len(mid) > 16:
        raise ParseError("a section without a usable mid")
    ssrcs, repair = _ssrcs(lines)
    return MediaDescription(
        kind=kind,
        port=_number(port.partition("/")[0], 65535, "port"),
        protocol=protocol,
        formats_text=" ".join(formats),
        mid=mid,
        direction=_direction(lines, session),
        bundle_only="bundle-only" in lines,
        rtcp_mux="rtcp-mux" in lines,
        rtcp_rsize="rtcp-rsize" in lines,
        ice_ufrag=_ice(lines.first("ice-ufrag") or session.first("ice-ufrag")),
        ice_pwd=_ice(lines.first("ice-pwd") or session.first("ice-pwd")),
        setup=lines.first("setup") or session.first("setup"),
        fingerprints=tuple(_fingerprint(f) for f in lines.every("fingerprint") or session.every("fingerprint")),
        formats=_formats(lines, formats) if "RTP/" in protocol else (),
        extensions=_extensions(lines),
        rids=_simulcast(lines),
        ssrcs=ssrcs,
        repair=repair,
    )


def _direction(lines: _Lines, session: _Lines) -> Direction:
    for source in (lines, session):
        for direction in Direction:
            if direction.value in source:
                return direction
    return Direction.SENDRECV


def _ice(value: str | None) -> str | None:
    if value is not None and not _ICE.match(value):
        raise ParseError("bad ICE credential")
    return value


def _fingerprint(text: str) -> Fingerprint:
    algorithm, _, value = text.partition(" ")
    if not _TOKEN.match(algorithm) or not _HEX_PAIRS.match(value.strip()):
        raise ParseError("bad fingerprint")
    return Fingerprint(algorithm.lower(), value.strip().upper())


def _by_payload_type(values: list[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for value in values:
        number, _, rest = value.partition(" ")
        if number == "*":  # rtcp-fb for every payload type
            found.setdefault(-1, []).append(rest.strip())
        else:
            found.setdefault(_number(number, 127, "payload type"), []).append(rest.strip())
    return found


def _formats(lines: _Lines, offered: list[str]) -> tuple[Format, ...]:
    maps = _by_payload_type(lines.every("rtpmap"))
    parameters = _by_payload_type(lines.every("fmtp"))
    feedback = _by_payload_type(lines.every("rtcp-fb"))
    found: dict[int, Format] = {}
    for text in offered:
        number = _number(text, 127, "payload type")
        if number not in maps:
            continue  # a static payload type without rtpmap: nothing we speak
        match = _CODEC.match(maps[number][0])
        if match is None:
            raise ParseError("bad rtpmap")
        found[number] = Format(
            payload_type=number,
            name=match[1],
            clock_rate=int(match[2]),
            channels=int(match[3] or 1),
            fmtp=parameters.get(number, [""])[0],
            feedback=frozenset(feedback.get(number, []) + feedback.get(-1, [])),
        )
    return tuple(found.values())


def _extensions(lines: _Lines) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in lines.every("extmap"):
        fields = text.split()
        if len(fields) < 2:
            raise ParseError("bad extmap")
        number, _, direction = fields[0].partition("/")
        identifier = _number(number, 65535, "extension id")
        # 1-14 one-byte, up to 255 two-byte form (RFC 8285); above is only provisional numbering
        if 1 <= identifier <= 255 and direction in ("", "sendrecv", "sendonly", "recvonly"):
            found.setdefault(fields[1], identifier)
    return found


def _simulcast(lines: _Lines) -> tuple[str, ...]:
    """The send rids in the offered order; of alternatives ("a,b") the first, paused marks ("~a") dropped."""
    declared = {fields[0] for fields in map(str.split, lines.every("rid")) if fields[1:2] == ["send"]}
    fields = (lines.first("simulcast") or "").split()
    if "send" not in fields:
        return ()
    streams = fields[fields.index("send") + 1 : fields.index("send") + 2]
    rids = [stream.split(",")[0].lstrip("~") for stream in "".join(streams).split(";")]
    if len(rids) > 8 or len(set(rids)) != len(rids) or not all(_RID.match(rid) and rid in declared for rid in rids):
        raise ParseError("bad simulcast")
    return tuple(rids)


def _ssrcs(lines: _Lines) -> tuple[tuple[int, ...], dict[int, int]]:
    ssrcs: dict[int, None] = {}
    for text in lines.every("ssrc"):
        ssrcs[_number(text.partition(" ")[0], 0xFFFFFFFF, "ssrc")] = None
    if len(ssrcs) > MAX_SSRCS:
        raise ParseError("too many ssrcs")
    repair: dict[int, int] = {}
    for text in lines.every("ssrc-group"):
        name, *members = text.split() or [""]
        if name == "FID" and len(members) == 2:
            primary, rtx = (_number(member, 0xFFFFFFFF, "ssrc") for member in members)
            repair[primary] = rtx
    return tuple(ssrcs), repair
