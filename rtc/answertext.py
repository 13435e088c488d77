"""The answer as text (RFC 8866, RFC 9429 section 5.3): CRLF lines, one bundle, ICE-lite, all candidates at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from rtc.aiortc_seam import DtlsRole
from rtc.answerer import EXTENSION_URIS, Section
from rtc.icelite import Credentials
from rtc.negotiation import Codec, Extensions, PublishSection, ReceiveSection
from rtc.sdp import Fingerprint


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of our addresses as announced to clients."""

    protocol: str  # "udp" or "tcp"
    host: str
    port: int

    def line(self, index: int) -> str:
        """RFC 8839 section 5.1 and RFC 6544 section 4.5: UDP before TCP, earlier addresses first."""
        preference = 126 if self.protocol == "udp" else 90
        priority = (preference << 24) | ((65535 - index) << 8) | 255
        kind = " tcptype passive" if self.protocol == "tcp" else ""
        return f"a=candidate:{index + 1} 1 {self.protocol} {priority} {self.host} {self.port} typ host{kind}"


@dataclass(frozen=True, slots=True)
class Local:
    """Our half of the transport, as written into every answer of one peer connection."""

    session_id: int
    version: int
    credentials: Credentials
    fingerprint: Fingerprint
    role: DtlsRole
    candidates: Sequence[Candidate]


def write(sections: Sequence[Section], local: Local) -> str:
    """The answer's SDP; `sections` in the offer's order."""
    live = [s.offered.mid for s in sections if s.accepted]
    lines = [
        "v=0",
        f"o=- {local.session_id} {local.version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(live)}",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
        "a=ice-lite",
        "a=ice-options:ice2",
    ]
    for section in sections:
        if section.accepted:
            lines += _accepted(section, local, first=section.offered.mid == live[0])
        else:
            lines += _rejected(section)
    return "\r\n".join(lines) + "\r\n"


def _rejected(section: Section) -> list[str]:
    offered = section.offered
    formats = offered.formats_text or "0"
    head = f"m={offered.kind} 0 {offered.protocol} {formats}"
    return [head, "c=IN IP4 0.0.0.0", f"a=mid:{offered.mid}", "a=inactive"]


def _accepted(section: Section, local: Local, *, first: bool) -> list[str]:
    offered = section.offered
    numbers = [n for c in section.codecs for n in (c.payload_type, c.rtx_payload_type) if n is not None]
    formats = " ".join(str(n) for n in numbers)
    lines = [f"m={offered.kind} 9 UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0"]
    if first:
        lines += [candidate.line(index) for index, candidate in enumerate(local.candidates)]
        lines.append("a=end-of-candidates")
    lines += [
        f"a=ice-ufrag:{local.credentials.ufrag}",
        f"a=ice-pwd:{local.credentials.pwd}",
        f"a=fingerprint:{local.fingerprint.algorithm} {local.fingerprint.value}",
        f"a=setup:{'active' if local.role is DtlsRole.CLIENT else 'passive'}",
        f"a=mid:{offered.mid}",
        f"a={section.direction.value}",
        "a=rtcp-mux",
    ]
    if offered.rtcp_rsize:
        lines.append("a=rtcp-rsize")
    lines += _extmap(section.extensions)
    for codec in section.codecs:
        lines += _codec(codec)
    if section.publish is not None:
        lines += _simulcast(section.publish)
    if section.receive is not None:
        lines += _slot(section.receive)
    return lines


def _extmap(extensions: Extensions) -> list[str]:
    numbers = ((getattr(extensions, name), uri) for name, uri in EXTENSION_URIS.items())
    return [f"a=extmap:{number} {uri}" for number, uri in numbers if number is not None]


def _codec(codec: Codec) -> list[str]:
    number = codec.payload_type
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    lines = [f"a=rtpmap:{number} {codec.name}/{codec.clock_rate}{channels}"]
    lines += [f"a=rtcp-fb:{number} {item}" for item in sorted(codec.feedback)]
    fmtp = "minptime=10;useinbandfec=1;usedtx=1" if codec.name == "opus" else codec.fmtp
    if fmtp:
        lines.append(f"a=fmtp:{number} {fmtp}")
    if codec.rtx_payload_type is not None:
        lines.append(f"a=rtpmap:{codec.rtx_payload_type} rtx/{codec.clock_rate}")
        lines.append(f"a=fmtp:{codec.rtx_payload_type} apt={number}")
    return lines


def _simulcast(publish: PublishSection) -> list[str]:
    if not publish.rids:
        return []
    return [*(f"a=rid:{rid} recv" for rid in publish.rids), f"a=simulcast:recv {';'.join(publish.rids)}"]


def _slot(receive: ReceiveSection) -> list[str]:
    """The slot's stable stream; audio and video of one slot share the msid stream id and the CNAME (lip sync)."""
    track = f"{receive.cname}-{receive.kind.value}"
    lines = [f"a=msid:{receive.cname} {track}"]
    ssrcs = [receive.ssrc]
    if receive.rtx_ssrc is not None:
        ssrcs.append(receive.rtx_ssrc)
        lines.append(f"a=ssrc-group:FID {receive.ssrc} {receive.rtx_ssrc}")
    for ssrc in ssrcs:
        lines += [f"a=ssrc:{ssrc} cname:{receive.cname}", f"a=ssrc:{ssrc} msid:{receive.cname} {track}"]
    return lines
