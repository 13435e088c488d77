"""Reading real offers, and nothing but ParseError for broken ones."""

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc import sdp
from rtc.errors import ParseError
from rtc.sdp import Direction

SAMPLES = Path(__file__).parent.parent / "support" / "sdp_samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.sdp"))


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.sdp").read_bytes().decode()


def test_samples_are_here() -> None:
    assert NAMES == ["chromium_plain", "chromium_simulcast", "firefox_plain", "firefox_simulcast"]


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_is_one_live_bundle(name: str) -> None:
    offer = sdp.parse(sample(name))
    assert offer.bundle == tuple(m.mid for m in offer.media)
    assert all(m.live for m in offer.media)
    assert not offer.ice_lite
    for media in offer.media:
        assert media.setup == "actpass"
        assert media.ice_ufrag
        assert media.ice_pwd
        assert [f.algorithm for f in media.fingerprints] == ["sha-256"]


def test_chromium_simulcast() -> None:
    audio, video, *slots = sdp.parse(sample("chromium_simulcast")).media
    assert (audio.kind, audio.direction, video.direction) == ("audio", Direction.SENDONLY, Direction.SENDONLY)
    assert video.rids == ("q", "h", "f")
    assert video.ssrcs == ()
    assert len(audio.ssrcs) == 1
    assert [s.direction for s in slots] == [Direction.RECVONLY] * 4
    opus = audio.formats[0]
    assert (opus.name, opus.clock_rate, opus.channels) == ("opus", 48000, 2)
    assert opus.parameter("useinbandfec") == "1"
    assert opus.parameter("nothing") is None
    vp8 = video.formats[0]
    assert vp8.feedback == {"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"}
    assert video.extensions["urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"] == 10


def test_firefox_simulcast_has_session_fingerprint_bundle_only_and_fid_groups() -> None:
    audio, video, *_ = sdp.parse(sample("firefox_simulcast")).media
    assert audio.fingerprints == video.fingerprints
    assert (video.port, video.bundle_only, video.live) == (0, True, True)
    assert video.rids == ("q", "h", "f")
    assert len(video.ssrcs) == 6
    assert list(video.repair.items()) == [(video.ssrcs[i], video.ssrcs[i + 1]) for i in (0, 2, 4)]


def test_plain_offers_have_their_ssrc_pair() -> None:
    for name in ("chromium_plain", "firefox_plain"):
        video = sdp.parse(sample(name)).media[1]
        assert video.rids == ()
        assert video.repair == {video.ssrcs[0]: video.ssrcs[1]}


def test_stopped_section() -> None:
    text = sample("chromium_plain").replace("m=video 9", "m=video 0", 1)
    assert [m.live for m in sdp.parse(text).media].count(False) == 1


BASE = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0\r\ns=-\r\n",  # no origin
        "v=0\r\no=- 1\r\n",
        BASE + "m=audio\r\n",
        BASE + "m=audio x UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n",
        BASE + "m=audio 99999 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n",
        BASE + "m=audio 9 UDP/TLS/RTP/SAVPF 128\r\na=mid:0\r\n",
        BASE + "m=audio 9 UDP/TLS/RTP/SAVPF ²\r\na=mid:0\r\n",  # a digit to isdigit(), not to int()
        BASE + AUDIO.replace("a=mid:0\r\n", ""),
        BASE + AUDIO + AUDIO,  # one mid twice
        BASE + AUDIO + "a=rtpmap:96 \r\n" + "x\r\n",
        BASE + AUDIO.replace("opus/48000/2", "opus"),
        BASE + AUDIO + "a=ice-ufrag:a b\r\n",
        BASE + AUDIO + "a=fingerprint:sha-256 zz\r\n",
        BASE + AUDIO + "a=fingerprint:\r\n",
        BASE + AUDIO + "a=extmap:1\r\n",
        BASE + AUDIO + "a=extmap:x urn:y\r\n",
        BASE + AUDIO + "a=ssrc:99999999999 cname:x\r\n",
        BASE + AUDIO + "a=simulcast:send q;q\r\na=rid:q send\r\n",
        BASE + AUDIO + "a=simulcast:send undeclared\r\n",
        BASE + AUDIO + "a=simulcast:send\r\n",
        BASE + AUDIO + "a=x:\x00\r\n",
        BASE + AUDIO + "a=x:" + "y" * 5000 + "\r\n",
        BASE + "".join(AUDIO.replace("mid:0", f"mid:{n}") for n in range(65)),
        BASE + AUDIO + "a=x\r\n" * 700,
        BASE + AUDIO + "a=x\r\n" * 60000,
        BASE + AUDIO + "".join(f"a=ssrc:{n} cname:x\r\n" for n in range(65)),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ParseError):
        sdp.parse(text)


def test_tolerated_oddities() -> None:
    text = BASE + AUDIO + "a=rid:\r\na=ssrc-group:\r\na=simulcast:recv q\r\na=extmap:4000 urn:x\r\na=group\r\n"
    media = sdp.parse(text.replace("\r\n", "\n")).media[0]
    assert media.rids == ()
    assert media.extensions == {}
    assert media.direction is Direction.SENDRECV


def test_empty_group_is_no_bundle() -> None:
    """Found by mutation: an empty a=group line was a ValueError."""
    assert sdp.parse(BASE + "a=group:\r\na=group:LS 0\r\n" + AUDIO).bundle == ()


def test_simulcast_alternatives_and_paused_marks() -> None:
    text = BASE + AUDIO + "a=rid:l send\r\na=rid:m send\r\na=rid:h send\r\na=simulcast:send ~l;m,h recv x\r\n"
    assert sdp.parse(text).media[0].rids == ("l", "m")


@given(st.text(max_size=400))
def test_only_parse_error_escapes_text(text: str) -> None:
    with contextlib.suppress(ParseError):
        sdp.parse("v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n" + text)


WORDS = [
    "\r\n",
    "a=",
    "m=",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=mid:",
    "a=rtpmap:",
    "a=fmtp:",
    "a=rtcp-fb:",
    "a=extmap:",
    "a=rid:",
    "a=simulcast:",
    "send",
    "recv",
    " ",
    ";",
    ",",
    "~",
    "q",
    "0",
    "111",
    "apt=",
    "opus/48000/2",
    "a=ssrc:",
    "a=ssrc-group:FID",
    "a=fingerprint:",
    "sha-256",
    "AB:CD",
    "a=ice-ufrag:",
    "a=group:BUNDLE",
    "-1",
    "²",
    "*",
    "/",
    "a=setup:",
]


@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_only_parse_error_escapes_grammar_soup(words: list[str]) -> None:
    with contextlib.suppress(ParseError):
        sdp.parse(BASE + "".join(words))


def mutate(text: str, chance: random.Random) -> str:
    """One to eight random edits: lines dropped, doubled, swapped, cut; characters and numbers changed."""
    lines = text.split("\r\n")
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(lines))
        action = chance.randrange(7)
        if action == 0:
            del lines[at : at + chance.randint(1, 5)]
        elif action == 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        elif action == 2:
            lines[at] = lines[at][: chance.randint(0, len(lines[at]))]
        elif action == 3:
            lines[at] = lines[at].replace(chance.choice("0123456789abc:/ ="), chance.choice("\x00²é:/ 9;-"), 1)
        elif action == 4:
            lines[at] += chance.choice([" ", ":", ";", "/", "99999999999", "é", "\t"])
        elif action == 5:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = lines[at].split(":")[0] + ":" + chance.choice(["", " ", "x", "-1", "1 2 3", "sha-1 AA", "*"])
        if not lines:
            lines = [""]
    return "\r\n".join(lines)


@settings(max_examples=300)
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_mutated_real_offers_raise_only_parse_error(name: str, seed: int) -> None:
    with contextlib.suppress(ParseError):
        sdp.parse(mutate(sample(name), random.Random(seed)))
