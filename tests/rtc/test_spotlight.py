"""Whom the chair shows everybody: their camera comes before every other where the link is too narrow for all."""

from rtc.negotiation import Source
from rtc.viewer import Demand
from tests.support.conference import Conference
from tests.support.rtp_factory import pool

TALKS, SHOWN, THIRD = "a-talks", "b-shown", "c-third"


def layer(stage: Conference, viewer: str, of: str) -> int | None:
    """Which layer of this person's camera the viewer is sent."""
    consumers = stage.room.participants[viewer].viewer.consumers.values()
    return next(c.index for c in consumers if c.key == (of, Source.CAMERA))


def narrow(*, demand: bool) -> Conference:
    """One viewer whose link carries one good picture and two small ones."""
    stage = Conference(seed=4)
    for name in (TALKS, SHOWN, THIRD):
        stage.add(name)
    stage.add("viewer", publish=(), receive=pool(4, 4), remb=620_000.0)
    stage.browsers[TALKS].level = lambda: 10
    for name in (SHOWN, THIRD):
        stage.browsers[name].level = lambda: 90
    if demand:
        demands = [Demand(name, Source.CAMERA, 640, 360) for name in (TALKS, SHOWN, THIRD)]
        stage.room.participants["viewer"].view(demands)
    return stage


def test_the_spotlit_camera_gets_its_bandwidth_before_the_speaker() -> None:
    stage = narrow(demand=True)
    stage.run(6)
    assert stage.room.participants["viewer"].viewer.speaker == TALKS
    assert (layer(stage, "viewer", TALKS) or 0) > (layer(stage, "viewer", SHOWN) or 0)
    stage.room.spotlight(SHOWN)
    stage.room.spotlight(SHOWN)
    stage.run(6)
    assert (layer(stage, "viewer", SHOWN) or 0) > (layer(stage, "viewer", TALKS) or 0)
    stage.room.spotlight(None)
    assert all(each.viewer.spotlit is None for each in stage.room.participants.values())


def test_somebody_who_comes_later_and_has_asked_for_nothing_is_shown_them_large() -> None:
    stage = Conference(seed=5)
    stage.add(SHOWN)
    stage.add(TALKS)
    stage.room.spotlight(SHOWN)
    stage.add("late", publish=(), receive=pool(4, 4))
    stage.run(6)
    assert layer(stage, "late", SHOWN) == 2
    assert layer(stage, "late", TALKS) == 1
