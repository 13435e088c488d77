"""The test peer's offers, in the shape browsers write them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtc.aiortc_seam import Certificate
from rtc.answerer import EXTENSION_URIS
from rtc.icelite import Credentials
from rtc.negotiation import Kind, Source

if TYPE_CHECKING:
    from tests.support.peermedia import SentStream

OPUS_PT, VP8_PT, RTX_PT, H264_PT, H264_RTX_PT = 111, 96, 97, 102, 103
MID_ID, RID_ID, RRID_ID, LEVEL_ID, TWCC_ID, ABS_SEND_TIME_ID = 4, 10, 11, 1, 3, 2
_IDS = {
    "mid": MID_ID,
    "rid": RID_ID,
    "repaired_rid": RRID_ID,
    "audio_level": LEVEL_ID,
    "transport_cc": TWCC_ID,
    "abs_send_time": ABS_SEND_TIME_ID,
}
_VIDEO_ONLY = ("rid", "repaired_rid")


@dataclass
class OfferedSection:
    mid: str
    kind: Kind
    source: Source | None  # None: a receive slot
    streams: list["SentStream"]
    rids: Sequence[str]


def write(
    sections: Sequence[OfferedSection],
    local: Credentials,
    certificate: Certificate,
    session_id: int,
    version: int,
    setup: str,
) -> str:
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(s.mid for s in sections)}",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS",
    ]
    for section in sections:
        lines += _section(section, local, certificate, setup)
    return "\r\n".join(lines) + "\r\n"


def _section(section: OfferedSection, local: Credentials, certificate: Certificate, setup: str) -> list[str]:
    video = section.kind is Kind.VIDEO
    formats = f"{VP8_PT} {RTX_PT} {H264_PT} {H264_RTX_PT}" if video else str(OPUS_PT)
    lines = [
        f"m={section.kind.value} 9 UDP/TLS/RTP/SAVPF {formats}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        "a=ice-options:trickle",
        f"a=fingerprint:{certificate.fingerprint.algorithm} {certificate.fingerprint.value}",
        f"a=setup:{setup}",
        f"a=mid:{section.mid}",
        *(f"a=extmap:{_IDS[n]} {uri}" for n, uri in EXTENSION_URIS.items() if video or n not in _VIDEO_ONLY),
        "a=sendonly" if section.source is not None else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    lines += _video_codecs() if video else _audio_codecs()
    if section.source is not None and section.rids:
        lines += [f"a=rid:{rid} send" for rid in section.rids]
        lines.append(f"a=simulcast:send {';'.join(section.rids)}")
    elif section.source is not None:
        stream = section.streams[0]
        if video:
            lines.append(f"a=ssrc-group:FID {stream.ssrc} {stream.rtx_ssrc}")
        lines += [f"a=ssrc:{s} cname:peer" for s in ((stream.ssrc, stream.rtx_ssrc) if video else (stream.ssrc,))]
    return lines


def _audio_codecs() -> list[str]:
    return [
        f"a=rtpmap:{OPUS_PT} opus/48000/2",
        f"a=rtcp-fb:{OPUS_PT} transport-cc",
        f"a=fmtp:{OPUS_PT} minptime=10;useinbandfec=1",
    ]


def _video_codecs() -> list[str]:
    lines = []
    for number, rtx, name in ((VP8_PT, RTX_PT, "VP8"), (H264_PT, H264_RTX_PT, "H264")):
        lines.append(f"a=rtpmap:{number} {name}/90000")
        lines += [f"a=rtcp-fb:{number} {fb}" for fb in ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")]
        if name == "H264":
            lines.append(f"a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
        lines += [f"a=rtpmap:{rtx} rtx/90000", f"a=fmtp:{rtx} apt={number}"]
    return lines


def candidate(text: str, *, tcp: bool) -> tuple[str, int]:
    """The first candidate of that protocol in an answer."""
    wanted = "tcp" if tcp else "udp"
    for protocol, host, port in re.findall(r"a=candidate:\S+ 1 (\w+) \d+ (\S+) (\d+) typ host", text):
        if protocol == wanted:
            return host, int(port)
    raise LookupError(f"no {wanted} candidate")
