"""What an offer/answer exchange settled: the vocabulary shared by the SDP answerer and the packet path.

The client always offers (one peer connection per participant). Its *publish* sections are sendonly, its
*receive* sections are recvonly and form a pool of slots with stable SSRCs that the server re-maps to whoever
is shown; a re-map never needs new SDP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"


class Source(StrEnum):
    """What a published stream shows. Microphone and camera of one person belong together; the screen stands apart."""

    MICROPHONE = "mic"
    CAMERA = "camera"
    SCREEN = "screen"

    @property
    def kind(self) -> Kind:
        return Kind.AUDIO if self is Source.MICROPHONE else Kind.VIDEO


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of a section, with its retransmission twin (RFC 4588)."""

    name: str  # "opus", "VP8", "H264", "VP9", "AV1": the rtpmap spelling, case kept
    payload_type: int
    clock_rate: int
    channels: int = 1
    fmtp: str = ""
    rtx_payload_type: int | None = None
    feedback: frozenset[str] = frozenset()  # "nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"

    @property
    def key(self) -> tuple[str, str]:
        """Equality across peer connections: payload types differ, the coded format does not."""
        if self.name.upper() != "H264":
            return (self.name.upper(), "")
        wanted = ("packetization-mode", "profile-level-id")
        items = dict(p.strip().split("=", 1) for p in self.fmtp.split(";") if "=" in p)
        return ("H264", ";".join(items.get(k, "").lower()[:4] if "profile" in k else items.get(k, "0") for k in wanted))


@dataclass(frozen=True, slots=True)
class Extensions:
    """Negotiated RFC 8285 header extension ids of one section; None = not negotiated."""

    mid: int | None = None
    rid: int | None = None
    repaired_rid: int | None = None
    audio_level: int | None = None
    transport_cc: int | None = None
    abs_send_time: int | None = None


@dataclass(frozen=True, slots=True)
class PublishSection:
    """A stream the participant sends to us."""

    mid: str
    source: Source
    codecs: tuple[Codec, ...]
    extensions: Extensions
    rids: tuple[str, ...] = ()  # simulcast, lowest first: ("q", "h", "f"); () = one layer
    ssrcs: tuple[int, ...] = ()  # announced by a=ssrc (one layer); primary first
    rtx_ssrcs: tuple[int, ...] = ()  # same order, from ssrc-group:FID

    @property
    def kind(self) -> Kind:
        return self.source.kind


@dataclass(frozen=True, slots=True)
class ReceiveSection:
    """A slot in which we send to the participant. Slot n's audio and video share msid and CNAME (lip sync)."""

    mid: str
    kind: Kind
    slot: int
    codecs: tuple[Codec, ...]
    extensions: Extensions
    ssrc: int
    rtx_ssrc: int | None
    cname: str


@dataclass(frozen=True, slots=True)
class Negotiated:
    """Everything the packet path needs to know of one participant's offer and our answer."""

    publish: tuple[PublishSection, ...] = ()
    receive: tuple[ReceiveSection, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A client's offer. `sources` names what each publish section (by mid) carries."""

    sdp: str
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    sdp: str
    negotiated: Negotiated
