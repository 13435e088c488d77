"""Policy and text of the answer: what is accepted, refused, kept stable."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc import answertext, sdp
from rtc.aiortc_seam import DtlsRole
from rtc.answerer import Answerer, Permit, Section, judge_peer
from rtc.answertext import Candidate, Local
from rtc.errors import MediaError, NotGranted, OfferRefused, ParseError
from rtc.icelite import Credentials
from rtc.negotiation import Kind, Negotiated, Source
from rtc.sdp import Fingerprint
from tests.rtc.test_sdp import NAMES, mutate, sample

EVERYTHING = Permit(frozenset(Source), subscribe=True)
LOCAL = Local(
    session_id=1,
    version=1,
    credentials=Credentials("ufragABC", "pwd" * 9),
    fingerprint=Fingerprint("sha-256", ":".join(["AB"] * 32)),
    role=DtlsRole.SERVER,
    candidates=(Candidate("udp", "192.0.2.1", 4000), Candidate("tcp", "192.0.2.1", 4000)),
)


def answer(
    text: str, permit: Permit = EVERYTHING, answerer: Answerer | None = None
) -> tuple[tuple[Section, ...], Negotiated]:
    offer = sdp.parse(text)
    judge_peer(offer)
    return (answerer or Answerer()).answer(offer, {}, permit)


def section(text: str, mid: str) -> list[str]:
    """The lines of one m= section."""
    parts = text.split("\r\nm=")[1:]
    return next(lines for part in parts if f"a=mid:{mid}" in (lines := part.split("\r\n")))


@pytest.mark.parametrize("name", ["chromium_simulcast", "firefox_simulcast"])
def test_publish_and_slots(name: str) -> None:
    _, negotiated = answer(sample(name))
    audio, video = negotiated.publish
    assert (audio.source, video.source) == (Source.MICROPHONE, Source.CAMERA)
    assert video.rids == ("q", "h", "f")
    assert video.codecs[0].name == "VP8"
    assert video.codecs[0].rtx_payload_type is not None
    assert video.codecs[0].feedback == {"nack", "nack pli", "ccm fir", "transport-cc"}
    assert video.extensions.mid is not None
    assert video.extensions.rid is not None
    assert video.extensions.transport_cc is not None
    assert audio.extensions.audio_level is not None
    slots = negotiated.receive
    assert [(s.kind, s.slot) for s in slots] == [(Kind.AUDIO, 0), (Kind.VIDEO, 0), (Kind.AUDIO, 1), (Kind.VIDEO, 1)]
    assert slots[0].cname == slots[1].cname != slots[2].cname
    ssrcs = [s.ssrc for s in slots] + [s.rtx_ssrc for s in slots if s.rtx_ssrc]
    assert len(set(ssrcs)) == 6
    assert all(s.rtx_ssrc is None for s in slots if s.kind is Kind.AUDIO)
    for slot in slots:  # no per-packet feedback downstream, REMB instead
        assert slot.extensions.transport_cc is None
        assert "transport-cc" not in slot.codecs[0].feedback
        if slot.kind is Kind.VIDEO:
            assert slot.extensions.abs_send_time is not None
            assert "goog-remb" in slot.codecs[0].feedback


def test_codec_order_and_h264_modes() -> None:
    video = answer(sample("chromium_simulcast"))[1].publish[1]
    names = [c.name for c in video.codecs]
    assert list(dict.fromkeys(names)) == ["VP8", "H264", "VP9", "AV1"]
    h264 = [c for c in video.codecs if c.name == "H264"]
    assert all("packetization-mode=1" in c.fmtp for c in h264)
    assert "profile-level-id=42e0" in h264[0].fmtp
    numbers = [n for c in video.codecs for n in (c.payload_type, c.rtx_payload_type) if n is not None]
    assert len(set(numbers)) == len(numbers)


def test_firefox_rtx_pairs() -> None:
    video = answer(sample("firefox_simulcast"))[1].publish[1]
    assert len(video.ssrcs) == len(video.rtx_ssrcs) == 3
    assert not set(video.ssrcs) & set(video.rtx_ssrcs)


@pytest.mark.parametrize("name", NAMES)
def test_text_is_a_matching_answer(name: str) -> None:
    """RFC 9429: same number and order of sections, mids and kinds; every payload type and extension id was offered."""
    sections, _ = answer(sample(name))
    text = answertext.write(sections, LOCAL)
    offered, answered = sdp.parse(sample(name)), sdp.parse(text)
    assert [(m.kind, m.mid) for m in answered.media] == [(m.kind, m.mid) for m in offered.media]
    assert answered.ice_lite
    assert answered.bundle == tuple(m.mid for m in answered.media if m.live)
    for mine, theirs in zip(answered.media, offered.media, strict=True):
        assert mine.live == (theirs.kind != "application")
        assert {f.payload_type for f in mine.formats} <= {f.payload_type for f in theirs.formats}
        assert mine.extensions.items() <= theirs.extensions.items()
        expected = {"sendonly": "recvonly", "recvonly": "sendonly", "sendrecv": "inactive"}[theirs.direction.value]
        assert mine.direction.value == expected
    assert text.endswith("\r\n")
    assert text.count("a=candidate:") == 2
    assert "a=candidate:2 1 tcp 1526726399 192.0.2.1 4000 typ host tcptype passive" in text


def test_simulcast_and_slot_lines() -> None:
    sections, negotiated = answer(sample("chromium_simulcast"))
    text = answertext.write(sections, LOCAL)
    camera = section(text, "1")
    assert [line for line in camera if "rid" in line and "extmap" not in line] == [
        "a=rid:q recv",
        "a=rid:h recv",
        "a=rid:f recv",
    ]
    assert "a=simulcast:recv q;h;f" in camera
    slot = negotiated.receive[1]
    lines = section(text, slot.mid)
    assert f"a=ssrc-group:FID {slot.ssrc} {slot.rtx_ssrc}" in lines
    assert f"a=ssrc:{slot.ssrc} cname:{slot.cname}" in lines
    assert f"a=msid:{slot.cname} {slot.cname}-video" in lines
    opus = section(text, "0")
    assert "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1" in opus


def test_growth_keeps_every_earlier_ssrc() -> None:
    answerer = Answerer()
    small = sample("chromium_simulcast")
    before = answer(small, answerer=answerer)[1].receive
    parts = small.split("m=")
    audio, video = parts[3], parts[4]
    grown = small + "m=" + audio.replace("a=mid:2", "a=mid:6") + "m=" + video.replace("a=mid:3", "a=mid:7")
    grown = grown.replace("BUNDLE 0 1 2 3 4 5", "BUNDLE 0 1 2 3 4 5 6 7")
    after = answer(grown, answerer=answerer)[1].receive
    assert after[: len(before)] == before
    assert [(s.mid, s.slot) for s in after[len(before) :]] == [("6", 2), ("7", 2)]
    assert after[-1].cname == after[-2].cname


def test_a_paused_slot_keeps_its_ssrc_and_a_stopped_one_loses_it() -> None:
    answerer = Answerer()
    text = sample("chromium_simulcast")
    before = {s.mid: s for s in answer(text, answerer=answerer)[1].receive}
    head, tail = text.split("a=mid:3\r\n")
    paused = head + "a=mid:3\r\n" + tail.replace("a=recvonly", "a=inactive", 1)
    assert "3" not in {s.mid for s in answer(paused, answerer=answerer)[1].receive}
    assert {s.mid: s for s in answer(text, answerer=answerer)[1].receive} == before
    index = head.rindex("m=video 9")
    stopped = (head[:index] + "m=video 0" + head[index + 9 :] + "a=mid:3\r\n" + tail).replace("1 2 3 4", "1 2 4")
    sections, negotiated = answer(stopped, answerer=answerer)
    assert "3" not in {s.mid for s in negotiated.receive}
    assert section(answertext.write(sections, LOCAL), "3")[0].startswith("video 0 ")
    recycled = text.replace("a=mid:3\r\n", "a=mid:9\r\n").replace("2 3 4", "2 9 4")
    again = {s.mid: s for s in answer(recycled, answerer=answerer)[1].receive}
    assert (again["9"].slot, again["9"].cname) == (before["3"].slot, before["3"].cname)
    assert again["9"].ssrc != before["3"].ssrc


def test_our_ssrcs_avoid_the_clients() -> None:
    text = sample("chromium_plain")
    theirs = sdp.parse(text).media[0].ssrcs[0]
    numbers = iter([0, theirs, theirs, 77, 77, 78, 79, 80])
    receive = answer(text, answerer=Answerer(lambda: next(numbers)))[1].receive
    assert [s.ssrc for s in receive] == [77, 78]


def test_grants_turn_sections_quiet_not_away() -> None:
    text = sample("chromium_simulcast")
    sections, negotiated = answer(text, Permit(frozenset({Source.MICROPHONE}), subscribe=False))
    assert [p.source for p in negotiated.publish] == [Source.MICROPHONE]
    assert negotiated.receive == ()
    written = answertext.write(sections, LOCAL)
    assert "a=inactive" in section(written, "1")
    assert "a=inactive" in section(written, "2")
    assert all(m.live for m in sdp.parse(written).media)
    with pytest.raises(NotGranted):
        answer(text, Permit(frozenset(), subscribe=False))


def test_sources_named_by_the_client() -> None:
    offer = sdp.parse(sample("chromium_simulcast"))
    negotiated = Answerer().answer(offer, {"1": Source.SCREEN}, EVERYTHING)[1]
    assert [p.source for p in negotiated.publish] == [Source.MICROPHONE, Source.SCREEN]
    with pytest.raises(ParseError):
        Answerer().answer(offer, {"1": Source.MICROPHONE}, EVERYTHING)


def test_red_is_kept_beside_opus() -> None:
    names = [c.name for c in answer(sample("chromium_simulcast"))[1].publish[0].codecs]
    assert names == ["opus", "red"]


def replaced(old: str, new: str) -> str:
    text = sample("chromium_plain")
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    "text",
    [
        replaced("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        replaced("UDP/TLS/RTP/SAVPF", "RTP/SAVP"),
        replaced("a=fingerprint:sha-256 ", "a=x:"),
        replaced("a=fingerprint:sha-256 ", "a=fingerprint:sha-1 "),
        replaced("a=fingerprint:sha-256 ", "a=fingerprint:md5 "),
        replaced("a=rtcp-mux\r\n", ""),
        replaced("a=group:BUNDLE", "a=group:LS"),
        replaced("a=ice-ufrag:", "a=x:"),
        replaced("a=ice-pwd:", "a=ice-pwd:abcd\r\na=x:"),
        replaced("a=setup:actpass", "a=setup:holdconn"),
        replaced("a=setup:actpass\r\n", ""),
        replaced("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"),
        replaced("opus/48000", "opux/48000").replace("/90000", "/80000"),  # no common codec at all
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\n",
    ],
)
def test_refused_offers(text: str) -> None:
    with pytest.raises(OfferRefused):
        answer(text)


def test_two_certificates_in_one_bundle_are_refused() -> None:
    text = sample("chromium_plain")
    at = text.rindex("a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
    flipped = "0" if text[at] != "0" else "1"
    with pytest.raises(OfferRefused):
        answer(text[:at] + flipped + text[at + 1 :])


@pytest.mark.parametrize(("setup", "role"), [("actpass", "server"), ("active", "server"), ("passive", "client")])
def test_dtls_role(setup: str, role: str) -> None:
    text = replaced("a=setup:actpass", f"a=setup:{setup}")
    assert judge_peer(sdp.parse(text)).role.value == role


@settings(max_examples=300)
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_mutated_offers_get_a_sound_answer_or_a_coded_refusal(name: str, seed: int) -> None:
    """Whatever arrives: a MediaError, or an answer that parses and takes up only what was offered."""
    text = mutate(sample(name), random.Random(seed))
    with contextlib.suppress(MediaError):
        sections, negotiated = answer(text)
        offered, answered = sdp.parse(text), sdp.parse(answertext.write(sections, LOCAL))
        assert [m.mid for m in offered.media] == [m.mid for m in answered.media]
        for mine, theirs in zip(answered.media, offered.media, strict=True):
            assert {f.payload_type for f in mine.formats} <= {f.payload_type for f in theirs.formats}
        assert {s.mid for s in negotiated.receive} | {p.mid for p in negotiated.publish} <= set(answered.bundle)
