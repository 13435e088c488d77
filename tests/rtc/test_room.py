"""A Room on the in-memory wire: who sees whom, grants, mutes, re-maps, taps, reconnects, ends."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc import rtcp, rtp
from rtc.errors import RoomClosed
from rtc.negotiation import Codec, Extensions, Kind, Negotiated, Source
from rtc.participant import Demand, Grants
from rtc.transport import TransportState
from tests.support.conference import EVERYTHING, Conference, RecordingTap, both
from tests.support.fakebrowser import FakeBrowser, Incoming
from tests.support.rtp_factory import OPUS, RED, UP, VP8, pool, publish_section, receive_section
from tests.support.rtp_factory import rtp as make_rtp
from tests.support.wire import MS

MIC, CAMERA, SCREEN = Source.MICROPHONE, Source.CAMERA, Source.SCREEN
S = 1000 * MS


def assert_continuous(incoming: Incoming) -> None:
    """One unbroken numbering: sequence, picture ids one by one, timestamps forward, every frame decodable."""
    numbers = sorted(incoming.received)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    pictures = [frame.picture for frame in incoming.frames]
    assert all((b - a) & 0x7FFF == 1 for a, b in itertools.pairwise(pictures))
    stamps = [frame.timestamp for frame in incoming.frames]
    assert all(0 < (b - a) & 0xFFFFFFFF < 90_000 * 30 for a, b in itertools.pairwise(stamps))


def test_two_people_see_and_hear_each_other() -> None:
    meeting = Conference()
    meeting.add("a")
    meeting.add("b")
    meeting.run(5)
    assert meeting.diary.table("a") == {"a0": ("b", MIC), "v0": ("b", CAMERA)}
    for name in "ab":
        browser = meeting.browsers[name]
        assert len(browser.by_mid["a0"].received) > 240
        assert len(browser.by_mid["v0"].frames) > 70
        assert_continuous(browser.by_mid["v0"])
        assert browser.by_mid["v0"].plis == 0
    assert ("a", MIC, True) in meeting.diary.producers
    assert ("a", TransportState.CONNECTED) in meeting.diary.transports


def test_slots_are_told_before_the_first_packet() -> None:
    meeting = Conference()
    meeting.add("a")
    seen: list[bool] = []
    path = meeting.browsers["a"].path
    inner = path.send_rtp

    def spy(buffer: bytearray, length: int) -> None:
        seen.append(bool(meeting.diary.table("a")))
        inner(buffer, length)

    path.send_rtp = spy  # type: ignore[method-assign]
    meeting.room.participants["a"].bind(path, meeting.browsers["a"].negotiated, meeting.clock.now_ns)
    meeting.room.participants["a"].viewer._path.send = spy
    meeting.add("b")
    meeting.run(1)
    assert seen and all(seen)


def test_eight_people_everybody_gets_everybody() -> None:
    meeting = Conference()
    for name in "abcdefgh":
        meeting.add(name, publish=both(()), receive=pool(7, 7), remb=20_000_000.0)
    meeting.run(4)
    for name in "abcdefgh":
        table = meeting.diary.table(name)
        assert len(table) == 14
        assert name not in {who for who, _ in table.values()}
        for mid, (_, source) in table.items():
            incoming = meeting.browsers[name].by_mid[mid]
            assert incoming.frames if source is CAMERA else len(incoming.received) > 150
    for number in range(7):
        pairs = [meeting.diary.table("a").get(f"{kind}{number}", ("", MIC))[0] for kind in "av"]
        assert pairs[0] == pairs[1]


def test_a_leave_moves_nobody_and_its_slot_is_reused_without_a_seam() -> None:
    meeting = Conference()
    for name in "abc":
        meeting.add(name, receive=pool(2, 2))
    meeting.run(4)
    before = meeting.diary.table("a")
    meeting.room.leave("b", "left")
    meeting.run(1)
    after = meeting.diary.table("a")
    assert after == {mid: who for mid, who in before.items() if who[0] != "b"}
    meeting.add("d", receive=pool(2, 2))
    meeting.run(4)
    slot = next(mid for mid, who in before.items() if who == ("b", CAMERA))
    assert meeting.diary.table("a")[slot] == ("d", CAMERA)
    incoming = meeting.browsers["a"].by_mid[slot]
    assert_continuous(incoming)
    assert incoming.plis == 0
    assert incoming.longest_freeze(meeting.clock.now_ns - 3 * S, meeting.clock.now_ns) < 0.5
    assert meeting.browsers["b"].path.close_reason == "left"


def test_a_pool_too_small_is_told_and_grown() -> None:
    meeting = Conference()
    meeting.add("a", receive=pool(1, 1))
    meeting.add("b")
    meeting.add("c")
    meeting.run(1)
    assert meeting.diary.short[-1] == ("a", 2, 2)
    before = meeting.diary.table("a")
    browser = meeting.browsers["a"]
    bigger = pool(2, 2)
    for section in bigger:
        if section.ssrc not in browser.incoming:
            browser.incoming[section.ssrc] = browser.by_mid[section.mid] = Incoming(section)
            browser._repairs[section.ssrc + 1] = browser.incoming[section.ssrc]
    meeting.room.participants["a"].bind(
        browser.path, Negotiated(browser.negotiated.publish, bigger), meeting.clock.now_ns
    )
    meeting.run(2)
    assert before.items() <= meeting.diary.table("a").items()
    assert len(meeting.diary.table("a")) == 4
    for incoming in browser.incoming.values():
        assert incoming.received
    assert_continuous(browser.by_mid["v0"])


def test_layers_follow_the_size_shown() -> None:
    meeting = Conference()
    viewer = meeting.add("a")
    meeting.add("b")
    meeting.run(4)
    incoming = meeting.browsers["a"].by_mid["v0"]

    def height() -> int | None:
        return next(c.height for c in viewer.stats().consumers if c.mid == "v0")

    assert height() == 360
    for shown, expected in ((720, 720), (90, 180), (360, 360), (1080, 720)):
        viewer.view([Demand("b", CAMERA, shown * 16 // 9, shown)])
        meeting.run(4)
        assert height() == expected
    assert_continuous(incoming)
    assert incoming.longest_freeze(incoming.first_ns, meeting.clock.now_ns) < 0.5
    frames = len(incoming.frames)
    viewer.view([])
    meeting.run(2)
    assert len(incoming.frames) <= frames + 2
    assert len(meeting.browsers["a"].by_mid["a0"].received) > 900, "voices need no demand"
    viewer.view([Demand("b", CAMERA, 320, 180)])
    meeting.run(2)
    assert len(incoming.frames) > frames + 20
    assert_continuous(incoming)


def test_a_layer_its_sender_switched_off_is_left_within_a_second() -> None:
    meeting = Conference()
    viewer = meeting.add("a")
    meeting.add("b")
    viewer.view([Demand("b", CAMERA, 1280, 720)])
    meeting.run(5)
    meeting.browsers["b"].source(CAMERA, "f").enabled = False
    start = meeting.clock.now_ns
    meeting.run(4)
    incoming = meeting.browsers["a"].by_mid["v0"]
    assert incoming.longest_freeze(start, meeting.clock.now_ns) < 1.6
    assert_continuous(incoming)


def test_grants_hold_on_the_packet_path() -> None:
    meeting = Conference()
    watcher = meeting.add("a")
    meeting.add("b", grants=Grants(frozenset({MIC}), subscribe=False))
    meeting.run(3)
    assert meeting.diary.table("a") == {"a0": ("b", MIC)}
    assert not any(i.received for i in meeting.browsers["b"].incoming.values())
    stats = meeting.room.participants["b"].stats()
    camera = next(p for p in stats.producers if p.source is CAMERA)
    assert not camera.live and sum(layer.refused for layer in camera.layers) > 50

    meeting.room.participants["b"].set_grants(EVERYTHING)
    meeting.run(3)
    assert meeting.diary.table("a")["v0"] == ("b", CAMERA)
    assert len(meeting.browsers["a"].by_mid["v0"].frames) > 20
    assert len(meeting.browsers["b"].by_mid["v0"].frames) > 20

    sent_before = meeting.browsers["a"].path.down.sent
    frames = len(meeting.browsers["a"].by_mid["v0"].frames)
    meeting.room.participants["b"].set_grants(Grants(frozenset(), subscribe=True))
    assert meeting.diary.table("a") == {}
    meeting.run(2)
    assert len(meeting.browsers["a"].by_mid["v0"].frames) <= frames + 1
    assert meeting.browsers["a"].path.down.sent - sent_before < 60, "reports only"
    assert ("b", MIC, False) in meeting.diary.producers
    assert watcher.stats().consumers[0].participant_id is None


def test_a_mute_is_silence_without_alarms_and_returns_without_a_seam() -> None:
    meeting = Conference()
    meeting.add("a")
    b = meeting.add("b")
    meeting.run(3)
    voice, face = meeting.browsers["a"].by_mid["a0"], meeting.browsers["a"].by_mid["v0"]
    for source in (MIC, CAMERA):
        b.set_paused(source, True)
    meeting.browsers["b"].feedback.clear()
    heard, seen = len(voice.received), len(face.frames)
    meeting.run(10)
    assert len(voice.received) <= heard + 3
    assert len(face.frames) <= seen + 2
    asked = [p for p in meeting.browsers["b"].feedback if isinstance(p, rtcp.Nack | rtcp.KeyframeRequest)]
    assert asked == []
    assert all(c.freezes_suspected == 0 for c in meeting.room.participants["a"].stats().consumers)
    assert meeting.diary.table("a") == {"a0": ("b", MIC), "v0": ("b", CAMERA)}
    start = meeting.clock.now_ns
    for source in (MIC, CAMERA):
        b.set_paused(source, False)
    meeting.run(2)
    assert face.frames[seen + 2].at_ns - start < 400 * MS
    assert_continuous(face)
    assert voice.missing == {}
    last = sorted(voice.received)
    gap = voice.packets[last[-1]].timestamp - voice.packets[last[heard - 20]].timestamp
    assert gap > 9 * 48_000, "time went on while muted"


def test_dtx_is_not_loss() -> None:
    meeting = Conference()
    meeting.add("a")
    meeting.add("b")
    meeting.run(2)
    meeting.browsers["b"].source(MIC).enabled = False
    meeting.run(5)
    meeting.browsers["b"].source(MIC).enabled = True
    meeting.run(2)
    stats = meeting.room.participants["b"].stats()
    assert stats.uplink_loss == 0
    assert meeting.browsers["a"].by_mid["a0"].missing == {}


def test_screen_share_comes_and_goes() -> None:
    meeting = Conference()
    meeting.add("a")
    screen = publish_section(SCREEN, "2")
    b = meeting.add("b", publish=(*both(), screen), start=False)
    browser = meeting.browsers["b"]
    browser.source(SCREEN).enabled = False
    browser.start()
    meeting.run(2)
    assert ("b", SCREEN) not in meeting.diary.table("a").values()
    browser.source(SCREEN).enabled = True
    meeting.run(2)
    assert meeting.diary.table("a")["v3"] == ("b", SCREEN)
    assert len(meeting.browsers["a"].by_mid["v3"].frames) > 20
    browser.source(SCREEN).enabled = False
    b.bind(browser.path, Negotiated(both(), browser.negotiated.receive), meeting.clock.now_ns)
    assert meeting.diary.producers[-1] == ("b", SCREEN, False)
    assert meeting.diary.table("a") == {"a0": ("b", MIC), "v0": ("b", CAMERA)}
    meeting.run(1)
    assert_continuous(meeting.browsers["a"].by_mid["v0"])


def test_a_reconnect_keeps_slots_and_numbering() -> None:
    meeting = Conference()
    meeting.add("a")
    b = meeting.add("b")
    tap = RecordingTap()
    meeting.room.attach(tap)
    meeting.run(3)
    before, tables = meeting.diary.table("a"), len(meeting.diary.slots["a"])
    old = meeting.browsers["b"].path
    old.state = TransportState.FAILED
    b.on_transport(TransportState.FAILED, meeting.clock.now_ns)
    meeting.run(2)
    assert meeting.diary.table("a") == before
    path = meeting.network.path()
    again = FakeBrowser(meeting.clock, path, publish=both(), receive=pool(4, 4), base_ssrc=0x9000)
    assert meeting.room.join("b", EVERYTHING) is b
    b.bind(path, again.negotiated, meeting.clock.now_ns)
    assert old.close_reason == "replaced"
    again.start()
    meeting.run(3)
    assert len(meeting.diary.slots["a"]) == tables
    assert_continuous(meeting.browsers["a"].by_mid["v0"])
    assert len(again.by_mid["v0"].frames) > 30
    assert tap.endings == []
    numbers = [rtp.parse(p.rtp).sequence for p in tap.of("b", CAMERA)]
    assert numbers == [i & 0xFFFF for i in range(numbers[0], numbers[0] + len(numbers))]


def test_taps_get_one_continuous_key_frame_gated_stream_each() -> None:
    meeting = Conference(loss=0.05, jitter_ms=8, seed=5)
    tap = RecordingTap(refused={("b", CAMERA)})
    meeting.room.attach(tap)
    meeting.add("a")
    meeting.add("b")
    meeting.run(25)
    assert not tap.of("b", CAMERA)
    for who, source in (("a", MIC), ("a", CAMERA), ("b", MIC)):
        packets = [rtp.parse(p.rtp) for p in tap.of(who, source)]
        assert len({p.ssrc for p in packets}) == 1
        numbers = sorted((p.sequence - packets[0].sequence + 0x8000) & 0xFFFF for p in packets)
        assert len(set(numbers)) == len(numbers)
        missing = numbers[-1] - numbers[0] + 1 - len(numbers)
        assert missing <= len(numbers) * 0.005, "the tap sits behind retransmission"
        assert all(p.payload and not p.padding and not p.extensions for p in packets)
        assert all(p.codec.name == ("opus" if source is MIC else "VP8") for p in tap.of(who, source))
    video = [rtp.parse(p.rtp) for p in tap.of("a", CAMERA)]
    assert video[0].payload[0] & 0x17 == 0x10 and not video[0].payload[6] & 1
    keys = [p for p in video if p.payload[0] & 0x17 == 0x10 and not p.payload[6] & 1]
    assert len(keys) >= 3, "a key frame every ten seconds"
    assert {(c.participant_id, c.source) for c in tap.clocks} == {("a", MIC), ("a", CAMERA), ("b", MIC)}


def test_tap_clocks_map_both_streams_of_a_person_to_one_time() -> None:
    meeting = Conference()
    meeting.add("a", wall_skew_ns=5_000 * S)
    tap = RecordingTap()
    meeting.run(3)
    meeting.room.attach(tap)
    meeting.run(3)
    out = {o.section.source: o for o in meeting.browsers["a"].outgoing if o.rid in ("", "f")}
    for source in (MIC, CAMERA):
        first = rtp.parse(tap.of("a", source)[0].rtp)
        clocks = [c for c in tap.clocks if c.source is source]
        assert len(clocks) >= 3
        index = tap.packets.index(tap.of("a", source)[0])
        assert tap.packets[index].arrival >= clocks[0].arrival, "a clock at once, from the report seen before"
        rate = out[source].rate
        ntp = clocks[0].ntp + ((first.timestamp - clocks[0].rtp_timestamp + 2**31) % 2**32 - 2**31) / rate
        sent = tap.of("a", source)[0].arrival - 0.02 + 5_000
        assert ntp == pytest.approx(sent, abs=0.08)


def test_detaching_and_refreshing_taps_is_immediate_and_told_once() -> None:
    meeting = Conference()
    tap = RecordingTap()
    meeting.room.attach(tap)
    meeting.room.attach(tap)
    meeting.add("a")
    meeting.run(2)
    tap.refused.add(("a", CAMERA))
    meeting.room.refresh_taps()
    seen = len(tap.of("a", CAMERA))
    meeting.run(1)
    assert len(tap.of("a", CAMERA)) == seen
    assert tap.endings == [("a", CAMERA, "unwanted")]
    meeting.room.detach(tap)
    count = len(tap.packets)
    meeting.run(1)
    meeting.room.detach(tap)
    assert len(tap.packets) == count
    assert tap.endings == [("a", CAMERA, "unwanted"), ("a", MIC, "detached")]


def test_sender_reports_put_both_streams_of_a_person_on_one_clock() -> None:
    meeting = Conference()
    meeting.add("a")
    meeting.add("b", wall_skew_ns=-3600 * S)
    meeting.run(6)
    for browser_name, skew in (("a", "b"), ("b", "a")):
        browser = meeting.browsers[browser_name]
        voice, face = browser.by_mid["a0"], browser.by_mid["v0"]
        other = meeting.browsers[skew]
        offsets = []
        for incoming, source, rate in ((voice, MIC, 48_000), (face, CAMERA, 90_000)):
            report = incoming.reports[-1]
            assert report.packets > 0
            newest = incoming.packets[max(incoming.packets)]
            age = ((newest.timestamp - report.rtp + 2**31) % 2**32 - 2**31) / rate
            offsets.append(report.ntp / 2**32 + age - meeting.clock.now_ns / 1e9)
            assert other.source(source) is not None
        assert abs(offsets[0] - offsets[1]) < 0.08
    assert 0 < (meeting.room.participants["a"].stats().rtt_ms or 0) < 100


def test_the_speaker_is_told() -> None:
    meeting = Conference()
    for name in "ab":
        meeting.add(name)
    meeting.browsers["a"].level = lambda: 120
    meeting.browsers["b"].level = lambda: 25
    meeting.run(2)
    assert meeting.diary.speakers == ["b"]
    meeting.room.leave("b", "left")
    assert meeting.diary.speakers == ["b", None]


def test_people_without_a_transport_are_fine() -> None:
    meeting = Conference()
    meeting.room.join("ghost", EVERYTHING)
    meeting.add("a")
    meeting.run(2)
    ghost = meeting.room.participants["ghost"]
    ghost.view([Demand("a", CAMERA, 10, 10)])
    ghost.set_paused(CAMERA, True)
    assert ghost.stats().consumers == ()
    meeting.room.leave("ghost", "left")
    meeting.room.leave("ghost", "left")


def test_closing_is_complete_and_idempotent() -> None:
    meeting = Conference()
    tap = RecordingTap()
    meeting.room.attach(tap)
    for name in "ab":
        meeting.add(name)
    meeting.run(2)
    meeting.room.close("consult_ended")
    meeting.room.close("again")
    assert {ending[2] for ending in tap.endings} == {"consult_ended"}
    assert len(tap.endings) == 4
    assert {path.close_reason for path in meeting.network.paths} == {"consult_ended"}
    assert sorted(p for p in meeting.diary.producers if not p[2]) == [
        (who, source, False) for who in "ab" for source in (CAMERA, MIC)
    ]
    with pytest.raises(RoomClosed):
        meeting.room.join("c", EVERYTHING)
    packets = len(tap.packets)
    meeting.run(1)
    assert len(tap.packets) == packets


def test_announced_ssrcs_of_a_plain_whip_publisher() -> None:
    """No mid, no rid, one layer: known by a=ssrc and FID alone."""
    meeting = Conference()
    meeting.add("a")
    ids = Extensions()
    camera = publish_section(CAMERA, "1", ssrcs=(0x5000,), rtx_ssrcs=(0x5001,), extensions=ids)
    meeting.add("cart", publish=(camera,), receive=())
    meeting.browsers["cart"].outgoing[0].ssrc, meeting.browsers["cart"].outgoing[0].rtx_ssrc = 0x5000, 0x5001
    meeting.browsers["cart"].path.up.loss = 0.1
    meeting.run(6)
    face = meeting.browsers["a"].by_mid["v0"]
    assert len(face.frames) > 60
    stats = meeting.room.participants["cart"].stats()
    assert stats.producers[0].layers[0].recovered > 0
    assert any(isinstance(p, rtcp.Remb) for p in meeting.browsers["cart"].feedback)
    assert not any(isinstance(p, rtcp.TransportFeedback) for p in meeting.browsers["cart"].feedback)


def test_fir_where_pli_is_not_spoken() -> None:
    meeting = Conference()
    meeting.add("a")
    codec = Codec("VP8", 96, 90_000, 1, "", 97, frozenset({"nack", "ccm fir"}))
    meeting.add("b", publish=(publish_section(CAMERA, "1", codecs=(codec,)),))
    meeting.run(1)
    meeting.room.request_keyframes(["b"])
    meeting.run(1)
    requests = [p for p in meeting.browsers["b"].feedback if isinstance(p, rtcp.KeyframeRequest)]
    assert requests and all(p.sequence is not None for p in requests)


def test_unknown_malformed_and_hostile_packets_change_nothing() -> None:
    meeting = Conference()
    meeting.add("a")
    b = meeting.add("b")
    meeting.run(1)
    live = list(meeting.diary.producers)
    now = meeting.clock.now_ns
    for data in (b"", b"\x80", bytes(12), b"\x90\x60" + bytes(12), b"\xb0" + bytes(40), bytes(2000)):
        b.on_rtp(memoryview(data), now)
        b.on_rtcp(data, now)
    for ssrc in range(500):
        b.on_rtp(memoryview(make_rtp(0x700000 + ssrc, 1, 1, b"x", payload_type=50)), now)
    claims = {UP.mid or 0: b"1", UP.rid or 0: b"f"}
    b.on_rtp(memoryview(make_rtp(0x66, 1, 1, b"\x90\x80", extensions=claims)), now)  # a taken layer
    stats = b.stats()
    assert stats.malformed >= 5 and stats.unknown >= 500
    assert len(b.uplink.path.strangers) <= 64
    assert meeting.diary.producers == live
    meeting.run(2)
    assert_continuous(meeting.browsers["a"].by_mid["v0"])


def test_probes_never_reach_anybody() -> None:
    meeting = Conference()
    meeting.add("a")
    b = meeting.add("b")
    tap = RecordingTap()
    meeting.room.attach(tap)
    meeting.run(2)
    out = meeting.browsers["b"].source(CAMERA, "h")
    for _ in range(20):
        out.sequence = (out.sequence + 1) & 0xFFFF
        ids = {UP.mid or 0: b"1", UP.rid or 0: b"h"}
        meeting.browsers["b"].path.upload_rtp(
            make_rtp(out.ssrc, out.sequence, out.timestamp, b"", padding=255, extensions=ids)
        )
        repair = {UP.mid or 0: b"1", UP.repaired_rid or 0: b"h"}
        meeting.browsers["b"].path.upload_rtp(
            make_rtp(out.rtx_ssrc, 5, 1, b"", payload_type=97, padding=255, extensions=repair)
        )
    meeting.run(2)
    assert b.stats().probes >= 40
    assert_continuous(meeting.browsers["a"].by_mid["v0"])
    assert all(rtp.parse(p.rtp).payload for p in tap.packets)


def test_copies_of_sound_stop_where_they_fill_the_link() -> None:
    meeting = Conference()
    voice = meeting.add("a", receive=(receive_section(Kind.AUDIO, 0),)).viewer.consumers["a0"]
    counts = []
    for loss in (0.0, 0.02, 0.1, 0.29, 0.3, 0.8, 0.1, 0.0):
        voice.protect_voice(loss)
        counts.append(voice.slot.redundancy)
    assert counts == [0, 1, 2, 2, 0, 0, 2, 0]


def test_redundant_audio_in_and_out() -> None:
    """RFC 2198 both ways: a hole in what we receive is filled from the next packet; a lossy viewer gets copies."""
    meeting = Conference()
    sections = tuple(
        receive_section(Kind.AUDIO, i, codecs=(Codec("opus", 109, 48_000, 2), Codec("red", 62, 48_000, 2, "109/109")))
        for i in range(2)
    )
    viewer = meeting.add("a", receive=sections)
    b = meeting.add("b", publish=(publish_section(MIC, "0", codecs=(RED, OPUS)),), start=False)
    path = meeting.browsers["b"].path
    path.connect()
    now = meeting.clock.now_ns
    for i in range(40):
        now += 20 * MS
        blocks = [rtp.RedBlock(111, 960, bytes((i - 1,)) * 9)] if i else []
        payload = rtp.build_red([*blocks, rtp.RedBlock(111, 0, bytes((i,)) * 9)])
        if i == 20:
            viewer.viewer.consumers["a0"].protect_voice(0.1)
        if i not in (7, 13, 30):
            b.on_rtp(memoryview(make_rtp(0x77, i, i * 960, payload, payload_type=63, extensions={4: b"0"})), now)
    meeting.run(1)
    voice = meeting.browsers["a"].by_mid["a0"]
    plain = [p for p in voice.packets.values() if p.payload_type == 109]
    wrapped = [p for p in voice.packets.values() if p.payload_type == 62]
    assert len(voice.packets) == 40
    assert [p.payload[0] for p in sorted(plain, key=lambda p: p.timestamp)][:20] == list(range(20))
    assert len(wrapped) >= 19
    blocks = rtp.parse_red(wrapped[5].payload)
    assert len(blocks) == 3
    assert [b.payload[0] for b in blocks] == [blocks[2].payload[0] - 2, blocks[2].payload[0] - 1, blocks[2].payload[0]]
    assert [block.timestamp_offset for block in blocks] == [1920, 960, 0]


def test_codecs_nobody_shares_are_not_forwarded() -> None:
    meeting = Conference()
    h264_only = receive_section(Kind.VIDEO, 0, codecs=(Codec("H264", 126, 90_000, 1, "packetization-mode=1"),))
    meeting.add("a", receive=(h264_only,))
    meeting.add("b", publish=(publish_section(CAMERA, "1", codecs=(VP8,)),))
    meeting.run(1)
    assert not meeting.browsers["a"].by_mid["v0"].received


def test_a_section_negotiated_anew_continues_its_numbering() -> None:
    """Same SSRC, same keys: the wire fails the test if a sequence number comes twice."""
    meeting = Conference()
    a = meeting.add("a")
    meeting.add("b")
    meeting.run(3)
    browser = meeting.browsers["a"]
    changed = tuple(replace(section, extensions=Extensions(mid=4)) for section in browser.negotiated.receive)
    a.bind(browser.path, Negotiated(browser.negotiated.publish, changed), meeting.clock.now_ns)
    meeting.run(3)
    assert_continuous(browser.by_mid["v0"])
    assert len(browser.by_mid["v0"].frames) > 75
    assert all(not p.extensions.get(2) for p in list(browser.by_mid["a0"].packets.values())[-20:])


def test_layers_nobody_watches_cost_the_publisher_no_repairs() -> None:
    meeting = Conference()
    meeting.add("a")
    meeting.add("b")
    meeting.browsers["b"].path.up.loss = 0.1
    meeting.run(6)
    nacked = {p.media for p in meeting.browsers["b"].feedback if isinstance(p, rtcp.Nack)}
    assert meeting.browsers["b"].source(CAMERA, "h").ssrc in nacked
    assert meeting.browsers["b"].source(CAMERA, "f").ssrc not in nacked


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=90)), max_size=12))
def test_no_bytes_disturb_a_living_room(hostile: list[tuple[bool, bytes]]) -> None:
    meeting = Conference()
    meeting.add("a")
    b = meeting.add("b")
    meeting.run(0.4)
    known = [out.ssrc for out in meeting.browsers["b"].outgoing]
    for i, (control, data) in enumerate(hostile):
        if control:
            b.on_rtcp(data, meeting.clock.now_ns)
            b.on_rtcp(b"\x81\xcd" + data[: len(data) // 4 * 4], meeting.clock.now_ns)
        else:
            head = b"\x90\x60" + bytes(6) + known[i % len(known)].to_bytes(4, "big")
            b.on_rtp(memoryview(data), meeting.clock.now_ns)
            b.on_rtp(memoryview(head + b"\xbe\xde" + data), meeting.clock.now_ns)
    meeting.run(0.2)
    assert meeting.room.participants.keys() == {"a", "b"}


def test_a_reloaded_page_with_a_smaller_pool_is_told_again() -> None:
    meeting = Conference()
    a = meeting.add("a", receive=pool(1, 1))
    meeting.add("b")
    meeting.add("c")
    meeting.run(1)
    assert meeting.diary.short == [("a", 2, 2)]
    path = meeting.network.path()
    again = FakeBrowser(meeting.clock, path, publish=both(), receive=pool(1, 1), base_ssrc=0x9000)
    a.bind(path, again.negotiated, meeting.clock.now_ns)
    assert meeting.diary.short == [("a", 2, 2)] * 2


def test_a_hidden_source_reaches_everybody_but_that_viewer_and_comes_back_on_a_key_frame() -> None:
    meeting = Conference()
    guest = meeting.add("a")
    meeting.add("b")
    meeting.add("c")
    meeting.run(3)
    assert ("b", CAMERA) in meeting.diary.table("a").values()
    mid = next(mid for mid, who in meeting.diary.table("a").items() if who == ("b", CAMERA))
    seen, others = len(meeting.browsers["a"].by_mid[mid].frames), len(meeting.browsers["c"].by_mid["v0"].frames)
    guest.set_grants(Grants(EVERYTHING.publish, subscribe=True, hidden=frozenset({("b", CAMERA)})))
    assert ("b", CAMERA) not in meeting.diary.table("a").values()
    assert ("b", MIC) in meeting.diary.table("a").values(), "the voice stays"
    meeting.run(2)
    assert len(meeting.browsers["a"].by_mid[mid].frames) <= seen + 1, "one may have been under way"
    assert len(meeting.browsers["c"].by_mid["v0"].frames) > others + 20
    assert ("a", 2, 1) not in meeting.diary.short, "no larger pool is asked for what is not shown"
    guest.set_grants(EVERYTHING)
    meeting.run(2)
    mid = next(mid for mid, who in meeting.diary.table("a").items() if who == ("b", CAMERA))
    assert len(meeting.browsers["a"].by_mid[mid].frames) > 20
