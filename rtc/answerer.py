"""What this server answers to an offer: policy. Structure is read by `sdp`, text is written by `answertext`.

One bundle, rtcp-mux only, UDP/TLS/RTP/SAVPF only, a strong certificate fingerprint or nothing (GHSA-qwfw-ggxw-577c).
The client's sending sections become PublishSections; its receiving ones a pool of slots whose SSRCs, once given,
never change for the life of the peer connection, so that growing the pool disturbs nobody.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rtc.aiortc_seam import STRONG_HASHES, DtlsRole
from rtc.errors import NotGranted, OfferRefused, ParseError
from rtc.negotiation import Codec, Extensions, Kind, Negotiated, PublishSection, ReceiveSection, Source
from rtc.sdp import Direction, Fingerprint, Format, MediaDescription, SessionDescription

_EXTENSION_FIELDS = {
    "mid": "urn:ietf:params:rtp-hdrext:sdes:mid",
    "rid": "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "repaired_rid": "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "audio_level": "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "transport_cc": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "abs_send_time": "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
}
EXTENSION_URIS: Mapping[str, str] = _EXTENSION_FIELDS

# order of preference; the sender uses the first
_VIDEO_ORDER = {"VP8": 0, "H264": 1, "VP9": 2, "AV1": 3}
_UPLINK_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "transport-cc"})
# no transport-cc towards viewers: with it a browser reports per packet and stops sending REMB, which layer choice reads
_DOWNLINK_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb"})


@dataclass(frozen=True, slots=True)
class Peer:
    """The transport half of an offer."""

    session: str  # identity of the client's peer connection (o= line)
    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    role: DtlsRole  # ours


@dataclass(frozen=True, slots=True)
class Section:
    """One answered m= section: what the answer's text is made of. Without codecs it is rejected (port 0)."""

    offered: MediaDescription
    codecs: tuple[Codec, ...] = ()
    extensions: Extensions = field(default_factory=Extensions)
    publish: PublishSection | None = None
    receive: ReceiveSection | None = None

    @property
    def accepted(self) -> bool:
        return bool(self.codecs)

    @property
    def direction(self) -> Direction:
        if self.publish is not None:
            return Direction.RECVONLY
        return Direction.SENDONLY if self.receive is not None else Direction.INACTIVE


@dataclass(frozen=True, slots=True)
class Permit:
    """What the participant may negotiate at this moment."""

    publish: frozenset[Source]
    subscribe: bool


def judge_peer(offer: SessionDescription) -> Peer:
    """The offer's one transport, or OfferRefused."""
    live = [m for m in offer.media if m.live]
    if not live:
        raise OfferRefused("no live section")
    if offer.ice_lite:
        raise OfferRefused("both sides ICE-lite: nobody would check")
    if not offer.bundle or any(m.mid not in offer.bundle for m in live):
        raise OfferRefused("BUNDLE of all sections required")
    # every section's transport is the first one's (RFC 9143), whatever it repeats
    tagged = next(m for m in live if m.mid == _tag(offer, live))
    if tagged.ice_ufrag is None or tagged.ice_pwd is None:
        raise OfferRefused("no ICE credentials")
    if len(tagged.ice_pwd) < 22:  # RFC 8839 section 5.4
        raise OfferRefused("ICE password too short")
    if not any(f.algorithm in STRONG_HASHES for f in tagged.fingerprints):
        raise OfferRefused("no fingerprint by sha-256 or better")
    if any(m.fingerprints and m.fingerprints != tagged.fingerprints for m in live):
        raise OfferRefused("sections with different fingerprints")
    if tagged.setup not in ("actpass", "active", "passive"):
        raise OfferRefused("no DTLS role offered")
    role = DtlsRole.CLIENT if tagged.setup == "passive" else DtlsRole.SERVER
    return Peer(offer.session, tagged.ice_ufrag, tagged.ice_pwd, tagged.fingerprints, role)


def _tag(offer: SessionDescription, live: list[MediaDescription]) -> str:
    mids = {m.mid for m in live}
    return next(mid for mid in offer.bundle if mid in mids)


class Answerer:
    """The section-by-section memory of one client peer connection."""

    def __init__(self, random_ssrc: Callable[[], int] | None = None) -> None:
        self._slots: dict[str, tuple[Kind, int, int, int | None]] = {}  # mid -> kind, slot, ssrc, rtx ssrc
        self._names: dict[int, str] = {}  # slot -> CNAME and msid
        self._ssrcs: set[int] = set()
        self._random_ssrc = random_ssrc or (lambda: secrets.randbits(32))

    def clone(self) -> "Answerer":
        """A copy to try an offer on: a refused offer must leave no trace."""
        twin = Answerer(self._random_ssrc)
        twin._slots, twin._names, twin._ssrcs = dict(self._slots), dict(self._names), set(self._ssrcs)
        return twin

    def answer(
        self, offer: SessionDescription, sources: Mapping[str, Source], permit: Permit
    ) -> tuple[tuple[Section, ...], Negotiated]:
        """Judge every section. Raises OfferRefused or NotGranted when nothing is left to talk about."""
        self._forget_stopped(offer)
        self._ssrcs.update(ssrc for m in offer.media for ssrc in m.ssrcs)
        assigned = _assign_sources(offer, sources)
        sections = tuple(self._section(m, assigned.get(m.mid), permit) for m in offer.media)
        if not any(s.accepted for s in sections):
            raise OfferRefused("no section with a common codec")
        negotiated = Negotiated(
            publish=tuple(s.publish for s in sections if s.publish),
            receive=tuple(s.receive for s in sections if s.receive),
        )
        wanted = [m for m in offer.media if m.live and m.direction is not Direction.INACTIVE and m.formats]
        if wanted and not negotiated.publish and not negotiated.receive:
            raise NotGranted("nothing in this offer is granted")
        return sections, negotiated

    def _forget_stopped(self, offer: SessionDescription) -> None:
        """A stopped section (port 0) or one whose place was recycled under another mid gives its slot back."""
        alive = {m.mid for m in offer.media if m.live}
        for mid in [mid for mid in self._slots if mid not in alive]:
            del self._slots[mid]

    def _section(self, media: MediaDescription, source: Source | None, permit: Permit) -> Section:
        if not media.live or media.kind not in ("audio", "video"):
            return Section(media)  # data channels too: signalling has its own socket
        if media.protocol != "UDP/TLS/RTP/SAVPF":
            raise OfferRefused("only UDP/TLS/RTP/SAVPF")
        if not media.rtcp_mux:
            raise OfferRefused("rtcp-mux required")
        if media.direction in (Direction.SENDONLY, Direction.SENDRECV) and source is not None:
            return self._publish(media, source, permit)
        if media.direction is Direction.INACTIVE:
            return Section(media, _codecs(media, _UPLINK_FEEDBACK), _extensions(media))
        return self._receive(media, permit)

    def _publish(self, media: MediaDescription, source: Source, permit: Permit) -> Section:
        codecs, extensions = _codecs(media, _UPLINK_FEEDBACK), _extensions(media)
        if not codecs or source not in permit.publish:
            return Section(media, codecs, extensions)
        ssrcs = tuple(s for s in media.ssrcs if s not in media.repair.values())
        publish = PublishSection(
            mid=media.mid,
            source=source,
            codecs=codecs,
            extensions=extensions,
            rids=media.rids if media.kind == "video" else (),
            ssrcs=ssrcs,
            rtx_ssrcs=tuple(media.repair[s] for s in ssrcs if s in media.repair),
        )
        return Section(media, codecs, extensions, publish=publish)

    def _receive(self, media: MediaDescription, permit: Permit) -> Section:
        codecs = _codecs(media, _DOWNLINK_FEEDBACK)
        extensions = replace(_extensions(media), transport_cc=None, rid=None, repaired_rid=None)
        if not codecs:
            return Section(media)
        kind, slot, ssrc, rtx_ssrc = self._slot(media)
        if not permit.subscribe:
            return Section(media, codecs, extensions)
        receive = ReceiveSection(
            mid=media.mid,
            kind=kind,
            slot=slot,
            codecs=codecs,
            extensions=extensions,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc if any(c.rtx_payload_type is not None for c in codecs) else None,
            cname=self._names[slot],
        )
        return Section(media, codecs, extensions, receive=receive)

    def _slot(self, media: MediaDescription) -> tuple[Kind, int, int, int | None]:
        known = self._slots.get(media.mid)
        kind = Kind(media.kind)
        if known is not None and known[0] is kind:
            return known
        taken = {slot for k, slot, _, _ in self._slots.values() if k is kind}
        slot = next(n for n in range(len(taken) + 1) if n not in taken)
        self._names.setdefault(slot, f"slot{slot}-{secrets.token_hex(6)}")
        # a recycled slot gets new SSRCs: the client has forgotten the old stream, we must not repeat its key stream
        entry = (kind, slot, self._fresh_ssrc(), self._fresh_ssrc() if kind is Kind.VIDEO else None)
        self._slots[media.mid] = entry
        return entry

    def _fresh_ssrc(self) -> int:
        for _ in range(1000):
            ssrc = self._random_ssrc()
            if ssrc and ssrc not in self._ssrcs:
                self._ssrcs.add(ssrc)
                return ssrc
        raise OfferRefused("no free SSRC")


def _assign_sources(offer: SessionDescription, named: Mapping[str, Source]) -> dict[str, Source]:
    """What each sending section carries: as the client says, else microphone, camera, then screen by order."""
    sending = [m for m in offer.media if m.live and m.direction in (Direction.SENDONLY, Direction.SENDRECV)]
    assigned: dict[str, Source] = {}
    for media in sending:
        source = named.get(media.mid)
        if source is not None:
            if source.kind.value != media.kind:
                raise ParseError("a source of the wrong kind")
            if source in assigned.values():
                raise ParseError("a source named twice")
            assigned[media.mid] = source
    for media in sending:
        if media.mid in assigned:
            continue
        free = [s for s in Source if s.kind.value == media.kind and s not in assigned.values()]
        if free:
            assigned[media.mid] = free[0]
    return assigned


def _extensions(media: MediaDescription) -> Extensions:
    return Extensions(**{name: media.extensions.get(uri) for name, uri in _EXTENSION_FIELDS.items()})


def _codecs(media: MediaDescription, feedback: frozenset[str]) -> tuple[Codec, ...]:
    rtx: dict[str, int] = {}
    for entry in media.formats:
        apt = entry.parameter("apt")
        if entry.name.lower() == "rtx" and apt is not None:
            rtx.setdefault(apt, entry.payload_type)
    chosen = [f for f in media.formats if (_is_video(f) if media.kind == "video" else _is_audio(f, media))]
    if media.kind == "video":
        chosen.sort(key=_rank)  # stable: the client's order within one format
    elif all(f.name.lower() == "red" for f in chosen):
        chosen = []
    return tuple(
        Codec(
            name="opus" if f.name.lower() == "opus" else "red" if f.name.lower() == "red" else f.name.upper(),
            payload_type=f.payload_type,
            clock_rate=f.clock_rate,
            channels=f.channels,
            fmtp=f.fmtp,
            rtx_payload_type=rtx.get(str(f.payload_type)) if media.kind == "video" else None,
            feedback=f.feedback & feedback,
        )
        for f in chosen
    )


def _is_audio(entry: Format, media: MediaDescription) -> bool:
    if entry.clock_rate != 48000 or entry.channels != 2:
        return False
    if entry.name.lower() == "opus":
        return True
    if entry.name.lower() != "red":  # RFC 2198, kept where the client offers Opus in it
        return False
    opus = {str(f.payload_type) for f in media.formats if f.name.lower() == "opus"}
    return bool(entry.fmtp) and set(entry.fmtp.split("/")) <= opus


def _is_video(entry: Format) -> bool:
    if entry.clock_rate != 90000 or entry.name.upper() not in _VIDEO_ORDER:
        return False
    if entry.name.upper() == "H264":  # interleaved and single-NAL modes are not depacketised here
        return entry.parameter("packetization-mode") == "1"
    if entry.name.upper() == "VP9":
        return entry.parameter("profile-id") in (None, "0")
    if entry.name.upper() == "AV1":
        return entry.parameter("profile") in (None, "0")
    return True


def _rank(entry: Format) -> tuple[int, int]:
    name = entry.name.upper()
    constrained = (entry.parameter("profile-level-id") or "").lower().startswith("42e0")
    return _VIDEO_ORDER[name], 0 if constrained else 1
