"""How soon a new viewer's first picture comes: asked for while the path is agreed, begun from the cache."""

from rtc.negotiation import Source
from rtc.participant import Grants, Participant
from tests.rtc.test_room import assert_continuous
from tests.support.conference import EVERYTHING, Conference
from tests.support.fakebrowser import FakeBrowser
from tests.support.rtp_factory import pool
from tests.support.wire import MS


def live_publisher() -> Conference:
    meeting = Conference(delay_ms=10)
    meeting.add("pub", receive=())
    meeting.run(3)
    return meeting


def knock(meeting: Conference, name: str = "eve") -> tuple[Participant, FakeBrowser]:
    """The offer is answered; ICE and DTLS are still to come (`start`)."""
    viewer = meeting.add(name, publish=(), start=False)
    return viewer, meeting.browsers[name]


def key_frames(meeting: Conference) -> list[int]:
    camera = meeting.room.participants["pub"].uplink.producers[Source.CAMERA]
    return [layer.stream.keyframes if layer.stream is not None else 0 for layer in camera.layers]


def test_the_key_frame_is_asked_for_while_the_path_is_being_agreed() -> None:
    meeting = live_publisher()
    before = key_frames(meeting)
    knock(meeting)
    meeting.run(0.15)
    assert sum(key_frames(meeting)) > sum(before), "no key frame before the viewer's keys are agreed"
    asked = [layer.requests.sent for layer in meeting.room.participants["pub"].uplink.producers[Source.CAMERA].layers]
    meeting.run(2)
    later = [layer.requests.sent for layer in meeting.room.participants["pub"].uplink.producers[Source.CAMERA].layers]
    assert later == asked, "asked once, not for as long as somebody stands at the door"


def test_the_first_picture_comes_from_the_cache() -> None:
    meeting = live_publisher()
    _, browser = knock(meeting)
    meeting.run(0.15)
    connected = meeting.clock.now_ns
    browser.start()
    meeting.run(1)
    incoming = browser.by_mid["v0"]
    first = min(arrival for arrival, _ in incoming.received.values())
    assert first - connected <= 25 * MS, "one way of the wire, no waiting for the next key frame"
    assert incoming.frames[0].key
    assert_continuous(incoming)


def test_a_key_frame_long_past_is_not_replayed() -> None:
    meeting = live_publisher()
    _, browser = knock(meeting)
    meeting.run(1.5)
    connected = meeting.clock.now_ns
    before = sum(key_frames(meeting))
    browser.start()
    meeting.run(1)
    incoming = browser.by_mid["v0"]
    assert min(arrival for arrival, _ in incoming.received.values()) - connected > 25 * MS
    assert sum(key_frames(meeting)) > before, "a fresh one was asked for"
    assert_continuous(incoming)


def test_nothing_of_before_a_mute_or_a_lost_grant_is_handed_out() -> None:
    for restrict in ("mute", "grant"):
        meeting = live_publisher()
        publisher = meeting.room.participants["pub"]
        _, browser = knock(meeting)
        meeting.run(0.15)
        if restrict == "mute":
            publisher.set_paused(Source.CAMERA, True)
        else:
            publisher.set_grants(Grants(frozenset({Source.MICROPHONE}), subscribe=True))
        browser.start()
        meeting.run(1)
        assert not browser.by_mid["v0"].received, restrict
        publisher.set_paused(Source.CAMERA, False)
        publisher.set_grants(EVERYTHING)
        meeting.run(2)
        assert_continuous(browser.by_mid["v0"])


def test_a_reconnecting_viewer_is_expected_anew() -> None:
    meeting = live_publisher()
    viewer, browser = knock(meeting)
    browser.start()
    meeting.run(1)
    path = meeting.network.path()
    again = FakeBrowser(meeting.clock, path, publish=(), receive=pool(4, 4), base_ssrc=0x9000)
    before = sum(key_frames(meeting))
    viewer.bind(path, again.negotiated, meeting.clock.now_ns)
    meeting.run(0.15)
    assert sum(key_frames(meeting)) > before
    again.start()
    meeting.run(1)
    assert again.by_mid["v0"].frames
    assert_continuous(again.by_mid["v0"])
