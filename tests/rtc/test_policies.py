"""The pure deciders: slots, speaker, key frame requests, bandwidth, layers, quality mark, meters, sender clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.bandwidth import Downlink, UpgradeWatch, UplinkCap, VideoGate, VideoState
from rtc.keyframe_requests import KeyframeRequests
from rtc.layers import Layer, Wish, allocate, ceiling
from rtc.meter import RateMeter
from rtc.negotiation import Kind, Source
from rtc.ntp import SenderClock, from_unix_ns, to_unix
from rtc.quality import Level, QualityMark, Signs, judge
from rtc.slots import Occupant, Shortage, SlotTable
from rtc.speaker import SpeakerDetector
from tests.support.rtp_factory import pool, receive_section

MS = 1_000_000
S = 1000 * MS
MIC, CAMERA, SCREEN = Source.MICROPHONE, Source.CAMERA, Source.SCREEN


def table(audio: int = 4, video: int = 4) -> SlotTable:
    made = SlotTable()
    made.resize(pool(audio, video))
    return made


class TestSlots:
    def test_voice_and_face_share_a_number(self) -> None:
        slots = table()
        slots.update({("a", MIC)})
        slots.update({("a", MIC), ("b", MIC)})
        slots.update({("a", MIC), ("b", MIC), ("b", CAMERA), ("a", CAMERA)})
        assert slots.occupants == {
            "a0": ("a", MIC),
            "v0": ("a", CAMERA),
            "a1": ("b", MIC),
            "v1": ("b", CAMERA),
        }

    def test_a_screen_sits_at_the_far_end(self) -> None:
        slots = table()
        slots.update({("a", MIC), ("a", CAMERA), ("a", SCREEN)})
        assert slots.occupants["v3"] == ("a", SCREEN)
        unpaired = SlotTable()
        unpaired.resize((*pool(4, 3), receive_section(Kind.VIDEO, 9), receive_section(Kind.VIDEO, 3)))
        unpaired.update({("a", SCREEN)})
        assert unpaired.occupants == {"v9": ("a", SCREEN)}

    def test_leaving_empties_and_moves_nobody(self) -> None:
        slots = table()
        everyone: set[Occupant] = {(who, source) for who in "abc" for source in (MIC, CAMERA)}
        slots.update(everyone)
        before = dict(slots.occupants)
        changed = slots.update({who for who in everyone if who[0] != "a"})
        assert changed == {mid for mid, who in before.items() if who[0] == "a"}
        assert all(before[mid] == who for mid, who in slots.occupants.items())

    def test_a_pool_too_small_tells_what_it_takes_and_grows_without_moving(self) -> None:
        slots = table(1, 1)
        people: set[Occupant] = {(who, source) for who in "abc" for source in (MIC, CAMERA)} | {("a", SCREEN)}
        slots.update(people)
        assert slots.shortage(people) == Shortage(audio=3, video=4)
        before = dict(slots.occupants)
        slots.resize(pool(3, 4))
        slots.update(people)
        assert set(slots.occupants.values()) == people
        assert before.items() <= dict(slots.occupants).items()
        assert slots.shortage(people) is None

    @given(st.lists(st.sets(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(list(Source)))), max_size=12))
    def test_always_stable_and_never_double(self, rounds: list[set[Occupant]]) -> None:
        slots = table(5, 6)
        for published in rounds:
            before = dict(slots.occupants)
            changed = slots.update(published)
            after = dict(slots.occupants)
            assert len(set(after.values())) == len(after)
            assert set(after.values()) <= published
            assert all(after.get(mid) == who for mid, who in before.items() if who in published)
            assert changed >= {mid for mid in before.keys() | after.keys() if before.get(mid) != after.get(mid)}
            assert all(slots.sections[mid].kind is who[1].kind for mid, who in after.items())
            for kind in Kind:
                seated = sum(who[1].kind is kind for who in after.values())
                wanted = sum(who[1].kind is kind for who in published)
                assert seated == min(wanted, 5 if kind is Kind.AUDIO else 6)


class TestSpeaker:
    @staticmethod
    def talk(detector: SpeakerDetector, levels: dict[str, int], start: int, seconds: float) -> int:
        now = start
        while now < start + seconds * S:
            now += 20 * MS
            for who, level in levels.items():
                detector.hear(who, level, now)
            if now // MS % 100 == 0:
                detector.decide(now)
        return now

    def test_the_louder_takes_the_floor_and_keeps_it(self) -> None:
        detector = SpeakerDetector()
        now = self.talk(detector, {"a": 30, "b": 90}, S, 1)
        assert detector.current == "a"
        now = self.talk(detector, {"a": 30, "b": 28}, now, 3)
        assert detector.current == "a", "not louder by enough"
        now = self.talk(detector, {"a": 90, "b": 28}, now, 1)
        assert detector.current == "b"

    def test_a_cough_does_not_take_the_floor(self) -> None:
        detector = SpeakerDetector()
        now = self.talk(detector, {"a": 30, "b": 100}, S, 2)
        now = self.talk(detector, {"a": 30, "b": 5}, now, 0.2)
        self.talk(detector, {"a": 30, "b": 100}, now, 1)
        assert detector.current == "a"

    def test_silence_and_dtx_free_the_floor(self) -> None:
        detector = SpeakerDetector()
        now = self.talk(detector, {"a": 30}, S, 2)
        for _ in range(40):
            now += 100 * MS
            detector.decide(now)
        assert detector.current is None

    def test_whoever_leaves_or_mutes_loses_it_at_once(self) -> None:
        detector = SpeakerDetector()
        self.talk(detector, {"a": 30}, S, 2)
        detector.forget("a")
        assert detector.current is None
        assert detector.decide(9 * S) is None


class TestKeyframeRequests:
    def test_merged_and_repeated_until_it_comes(self) -> None:
        requests = KeyframeRequests()
        sent = []
        for now in range(0, 2000, 20):
            requests.want()
            requests.want()
            if requests.due(now * MS):
                sent.append(now)
        assert sent == [0, 500, 1000, 1500]
        requests.arrived()
        assert not requests.due(9 * S)

    def test_a_new_viewer_shortens_the_wait_once(self) -> None:
        requests = KeyframeRequests()
        requests.want()
        assert requests.due(0)
        requests.arrived()
        requests.want(new_viewer=True)
        assert not requests.due(50 * MS)
        assert requests.due(100 * MS)
        assert not requests.due(200 * MS)
        assert requests.due(600 * MS)


class TestDownlink:
    @staticmethod
    def remb(link: Downlink, bps: float, sent: float, start: int, seconds: float = 2.5) -> int:
        """Three reports a second; when it ends."""
        now = start
        while now < start + seconds * S:
            link.on_remb(bps, sent, now)
            now += 333 * MS
        return now

    def test_remb_below_what_has_flowed_steadily_is_believed(self) -> None:
        link = Downlink()
        now = self.remb(link, 300_000, 900_000, S, 1.9)
        assert link.bps == 1_500_000
        now = self.remb(link, 300_000, 900_000, now, 0.5)
        assert link.bps == pytest.approx(540_000), "one report is not the whole truth"
        self.remb(link, 300_000, 900_000, now)
        assert link.bps == 300_000

    def test_a_remb_that_lags_behind_a_new_picture_is_not(self) -> None:
        """Chromium after a slot re-map: video paused, REMB shrank with it, video is back."""
        link = Downlink()
        now = self.remb(link, 126_000, 150_000, S, 1)
        now = self.remb(link, 126_000, 20_000, now, 1)
        self.remb(link, 126_000, 170_000, now, 1.8)
        assert link.bps == 1_500_000

    def test_a_remb_that_creeps_up_is_no_limit_yet(self) -> None:
        """Chromium's own: 126, 165, 187, 211 kbit/s a second and a half apart, while 250 arrived."""
        link = Downlink()
        for i in range(30):
            link.on_remb(126_000 * 1.025**i, 300_000, S + i * 333 * MS)
        assert link.bps == 1_500_000

    def test_an_application_limited_remb_takes_nothing_away(self) -> None:
        link = Downlink()
        link.on_remb(250_000, 200_000, S)
        assert link.bps >= 1_000_000

    def test_it_grows_by_trial_and_waits_longer_after_each_failure(self) -> None:
        link = Downlink()
        now, rests = S, []
        for _ in range(4):
            now = self.remb(link, 200_000, 600_000, now, 6)
            assert link.bps == 200_000
            start = now
            while link.bps < 320_000:
                now += 200 * MS
                link.tick(200_000, now)
            rests.append(now - start)
        assert rests[1] < rests[2] < rests[3]

    def test_random_loss_of_ten_per_cent_is_no_congestion(self) -> None:
        link = Downlink()
        for second in range(60):
            link.on_loss(0.08 + 0.04 * (second % 2), (second + 1) * S)
            link.tick(800_000, (second + 1) * S)
        assert link.bps > 1_000_000

    def test_loss_while_the_browser_sees_room_to_spare_is_the_radio(self) -> None:
        link = Downlink()
        for second in range(30):
            link.on_remb(2_000_000, 500_000, (second + 1) * S)
            link.on_loss(0.16, (second + 1) * S)
        assert link.bps == 2_000_000

    def test_heavy_loss_lowers_it(self) -> None:
        link = Downlink()
        for second in range(10):
            link.on_loss(0.3, (second + 1) * S)
        assert link.bps < 500_000

    def test_growth_stays_near_what_really_flows(self) -> None:
        link = Downlink()
        for i in range(3000):
            link.tick(100_000, (i + 1) * 200 * MS)
        assert link.bps <= 1_500_000  # never above the start without evidence


class TestUpgradeWatch:
    def test_a_burst_of_repairs_ends_the_trial_once(self) -> None:
        watch = UpgradeWatch()
        watch.check(0, 0, S)
        watch.begin(300_000, S)
        assert watch.check(3, 40, S + 300 * MS) is None
        assert watch.check(20, 80, S + 600 * MS) == pytest.approx(330_000)
        assert watch.check(60, 120, S + 900 * MS) is None

    def test_random_loss_and_old_upgrades_do_not(self) -> None:
        watch = UpgradeWatch()
        watch.check(0, 0, S)
        watch.begin(300_000, S)
        for i in range(1, 15):
            assert watch.check(i * 9, i * 60, S + i * 300 * MS) is None
        assert watch.check(500, 900, 9 * S) is None


class TestVideoGate:
    def test_off_before_audio_breaks_and_back_slowly_and_slower(self) -> None:
        link, gate = Downlink(), VideoGate()
        link.bps, now = 100_000, S
        assert not gate.judge(link, 0.0, now)
        assert not gate.judge(link, 0.0, now + S)
        assert gate.judge(link, 0.0, now + 2 * S)
        assert (gate.state, gate.reason) == (VideoState.RESTING, "downlink_bandwidth")
        now += 2 * S
        assert not gate.judge(link, 0.0, now + 7 * S)
        assert gate.judge(link, 0.0, now + 8 * S)
        assert gate.state is VideoState.PROBATION
        assert link.bps >= 300_000
        now += 8 * S
        link.loss = link.recent_loss = 0.25
        gate.judge(link, 0.0, now)
        assert not gate.judge(link, 0.0, now + 3 * S)
        assert gate.judge(link, 0.0, now + 4 * S)
        assert gate.reason == "downlink_loss"
        now += 4 * S
        link.loss = link.recent_loss = 0.01
        assert not gate.judge(link, 0.0, now + 15 * S)
        assert gate.judge(link, 0.0, now + 16 * S)

    def test_a_short_dip_is_forgiven(self) -> None:
        link, gate = Downlink(), VideoGate()
        link.bps = 100_000
        gate.judge(link, 0.0, S)
        link.bps = 900_000
        gate.judge(link, 0.0, 2 * S)
        link.bps = 100_000
        assert not gate.judge(link, 0.0, 3 * S)
        assert gate.open

    def test_loss_that_a_smaller_layer_has_cured_is_forgiven(self) -> None:
        link, gate = Downlink(), VideoGate()
        for second in range(1, 4):
            link.on_loss(0.5 if second < 3 else 0.0, second * S)
            gate.judge(link, 0.0, second * S)
        assert link.loss > 0.18
        gate.judge(link, 0.0, 4 * S)
        assert gate.open

    def test_it_does_not_come_back_into_heavy_loss(self) -> None:
        link, gate = Downlink(), VideoGate()
        link.loss = link.recent_loss = 0.3
        gate.judge(link, 0.0, S)
        gate.judge(link, 0.0, 5 * S)
        assert not gate.open
        assert not gate.judge(link, 0.0, 100 * S)


def test_uplink_cap_yields_to_loss_and_recovers() -> None:
    cap = UplinkCap()
    start = cap.bps
    low = cap.on_loss(0.4)
    assert low < start
    for _ in range(30):
        cap.on_loss(0.0)
    assert cap.bps == 4_000_000


LAYERS = (Layer(130_000, 180, True), Layer(450_000, 360, True), Layer(1_300_000, 720, True))


def wish(
    who: str, height: int = 720, priority: int = 0, current: int | None = None, layers: tuple[Layer, ...] = LAYERS
) -> Wish:
    return Wish((who, "camera"), layers, height, priority, current)


class TestLayers:
    @pytest.mark.parametrize(
        ("height", "layer"), [(90, 0), (180, 0), (240, 0), (300, 1), (480, 1), (500, 2), (1080, 2)]
    )
    def test_size_shown_sets_the_ceiling(self, height: int, layer: int) -> None:
        assert ceiling(wish("a", height)) == layer
        assert allocate([wish("a", height)], 10_000_000)["a", "camera"] == layer

    def test_a_shown_layer_is_kept_at_the_border(self) -> None:
        assert ceiling(wish("a", 260)) == 1
        assert ceiling(wish("a", 260, current=0)) == 0

    def test_everybody_gets_the_lowest_before_anybody_gets_more(self) -> None:
        chosen = allocate([wish("a", priority=1), wish("b"), wish("c")], 900_000)
        assert chosen == {("a", "camera"): 1, ("b", "camera"): 0, ("c", "camera"): 0}

    def test_priority_decides_who_goes_dark(self) -> None:
        chosen = allocate([wish("a"), wish("b", priority=2), wish("c", priority=1)], 270_000)
        assert chosen == {("a", "camera"): None, ("b", "camera"): 0, ("c", "camera"): 0}

    def test_going_up_needs_headroom_staying_does_not(self) -> None:
        assert allocate([wish("a", current=0)], 500_000)["a", "camera"] == 0
        assert allocate([wish("a", current=1)], 500_000)["a", "camera"] == 1
        assert allocate([wish("a", current=0)], 520_000)["a", "camera"] == 1

    def test_inactive_layers_are_skipped(self) -> None:
        layers = (LAYERS[0], Layer(450_000, 360, False), Layer(1_300_000, 720, False))
        assert allocate([wish("a", layers=layers)], 5_000_000)["a", "camera"] == 0
        dead = tuple(Layer(0, 180, False) for _ in range(3))
        assert allocate([wish("a", layers=dead)], 5_000_000)["a", "camera"] is None

    @given(
        st.lists(st.tuples(st.integers(90, 1080), st.integers(0, 2), st.sampled_from((None, 0, 1, 2))), max_size=7),
        st.integers(0, 6_000_000),
    )
    def test_never_over_budget(self, shown: list[tuple[int, int, int | None]], budget: int) -> None:
        wishes = [wish(str(i), height, priority, current) for i, (height, priority, current) in enumerate(shown)]
        chosen = allocate(wishes, budget)
        spent = sum(LAYERS[index].bps for index in chosen.values() if index is not None)
        assert spent <= (budget / 0.85 if any(w.current is not None for w in wishes) else budget)


class TestQuality:
    GOOD = Signs(connected=True, silent=False, uplink_loss=0.0, downlink_loss=0.0, rtt_s=0.05)

    @pytest.mark.parametrize(
        ("change", "level", "reason"),
        [
            ({}, Level.GOOD, ""),
            ({"uplink_loss": 0.05}, Level.FAIR, "uplink_loss"),
            ({"downlink_loss": 0.2}, Level.POOR, "downlink_loss"),
            ({"rtt_s": 0.4}, Level.FAIR, "rtt"),
            ({"silent": True}, Level.LOST, "silent"),
            ({"connected": False}, Level.LOST, "disconnected"),
            ({"video_off_reason": "downlink_bandwidth"}, Level.POOR, "downlink_bandwidth"),
        ],
    )
    def test_grades(self, change: dict[str, object], level: Level, reason: str) -> None:
        values = {name: getattr(self.GOOD, name) for name in self.GOOD.__slots__}
        quality = judge(Signs(**(values | change)))
        assert (quality.level, quality.reason) == (level, reason)

    def test_told_on_change_worse_soon_better_late_never_twice_a_second(self) -> None:
        mark = QualityMark()
        bad = Signs(connected=True, silent=False, uplink_loss=0.3, downlink_loss=0.0, rtt_s=0.05)
        assert mark.update(self.GOOD, 0) is not None
        assert mark.update(bad, 500 * MS) is None
        assert mark.update(bad, 1000 * MS) is not None
        assert mark.update(self.GOOD, 2100 * MS) is None
        assert mark.update(self.GOOD, 5000 * MS) is None
        better = mark.update(self.GOOD, 6200 * MS)
        assert better is not None and better.level is Level.GOOD


def test_meter_follows_the_rate() -> None:
    meter = RateMeter()
    for i in range(100):
        meter.update(i * 1250, i * 100 * MS + S)
    assert meter.bps == pytest.approx(100_000, rel=0.01)


def test_ntp_round_trip_and_one_clock_per_sender() -> None:
    assert to_unix(from_unix_ns(1_700_000_000_250_000_000)) == pytest.approx(1_700_000_000.25)
    clock = SenderClock()
    clock.observe(1000, 5000)
    clock.observe(2000, 6500)  # jitter of the path moves nothing
    assert clock.offset == 4000
    clock.observe(10 << 32, 500)  # the sender's clock was set
    assert clock.offset == 500 - (10 << 32)
