"""Wrong events, wrong roles, wrong rooms: a coded ack, no state change, no traceback."""

import logging
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic import visit
from clinic.roles import permits
from clinic.rulebook import shipped
from rtc.participant import Grants
from signaling import messages as m
from signaling.errors import Malformed, UnknownEvent, ack_of, problem_of
from signaling.handlers import HANDLERS
from tests.signaling.ward import Ward, book
from tests.support.session_client import SessionClient, new_op

BODIES: dict[str, dict[str, Any]] = {
    "join": {"v": 1, "op": "x" * 16},
    "leave": {"op": "x" * 16},
    "admit": {"op": "x" * 16, "seat": "a" * 32},
    "remove": {"op": "x" * 16, "seat": "a" * 32, "reason": "disturbing"},
    "end": {"op": "x" * 16},
    "terminate": {"op": "x" * 16, "reason_code": "first_visit", "advice": ""},
    "media.offer": {"sdp": "v=0", "sources": {"0": "mic"}},
    "media.view": {"demands": []},
    "media.mute": {"source": "mic", "muted": True},
    "hand": {"raised": True},
    "ready": {"op": "x" * 16, "ready": True},
    "chat": {"op": "x" * 16, "text": "hi"},
    "recording.start": {"op": "x" * 16},
    "recording.stop": {"op": "x" * 16},
    "consent.withdraw": {"op": "x" * 16, "purposes": ["rec_av"]},
    "consent.spoken": {"op": "x" * 16, "seat": "s1", "phase": "begin"},
    "guest.invite": {"op": "x" * 16, "role": "family", "display_name": "n", "relation": "son"},
    "privacy.pause": {"op": "x" * 16},
    "privacy.resume": {"op": "x" * 16},
    "exam.request": {"op": "x" * 16},
    "exam.answer": {"op": "x" * 16, "agrees": True},
    "exam.end": {"op": "x" * 16},
    "person.declare": {"op": "x" * 16, "display_name": "n", "kind": "nurse"},
    "person.answer": {"op": "x" * 16, "seat": "a" * 32, "agrees": True},
    "person.gone": {"op": "x" * 16, "seat": "a" * 32},
    "room.attest": {"op": "x" * 16, "seats": ["a" * 32]},
    "table.act": {"op": "x" * 16, "kind": "scroll", "at": 3},
    "table.since": {"epoch": "e", "version": 0},
    "table.point": {"instance": "0" * 32, "frame": 0, "x": 1.5, "y": 2, "count": 1},
    "panel.open": {"op": "x" * 16},
    "panel.order": {"op": "x" * 16, "seats": ["a" * 32]},
    "panel.word": {"op": "x" * 16, "seat": None},
    "panel.next": {"op": "x" * 16},
    "panel.spotlight": {"op": "x" * 16, "seat": "a" * 32},
    "panel.chair": {"op": "x" * 16, "seat": "a" * 32},
    "panel.take": {"op": "x" * 16},
    "panel.ask": {"op": "x" * 16, "seat": "a" * 32},
    "side.start": {"op": "x" * 16, "inviting": True},
    "side.enter": {"op": "x" * 16},
    "side.leave": {"op": "x" * 16},
    "side.listen": {"op": "x" * 16, "on": True},
    "side.end": {"op": "x" * 16},
    "stats": dict.fromkeys(("freezes", "concealed_ms", "rtt_ms", "kbps_in", "kbps_out", "fps", "width"), 0),
}


def test_every_event_has_one_model_one_handler_and_a_sample() -> None:
    assert set(HANDLERS) == set(m.EVENTS) == set(BODIES)
    assert all(HANDLERS[name].model is m.EVENTS[name] for name in HANDLERS)
    for name, body in BODIES.items():
        assert m.parse(name, body)[0] == name


def test_codes_are_those_of_the_domain() -> None:
    assert get_args(m.RemovalCode) == visit.REMOVAL_CODES
    assert get_args(m.TerminationCode) == tuple(shipped()[-1].rules["CN-09"].codes)


@pytest.mark.parametrize(
    ("event", "change", "field"),
    [
        ("chat", {"text": ""}, "text"),
        ("chat", {"text": " \n "}, "text"),
        ("chat", {"text": "x" * 2001}, "text"),
        ("chat", {"text": "a\x00b"}, "text"),
        ("chat", {"text": "\ud800"}, "text"),
        ("chat", {"text": 5}, "text"),
        ("chat", {"op": "short"}, "op"),
        ("chat", {"op": "x" * 65}, "op"),
        ("chat", {"op": "x" * 15 + " "}, "op"),
        ("chat", {"op": "x" * 16 + "\n"}, "op"),
        ("chat", {"evil": 1}, "unknown_field"),
        ("chat", {"__proto__": {}}, "unknown_field"),
        ("join", {"v": 2}, "v"),
        ("join", {"v": "1"}, "v"),
        ("join", {"v": True}, "v"),
        ("join", {"resume": {"epoch": "e", "seq": -1}}, "resume"),
        ("join", {"resume": {"epoch": "e", "seq": 1.0}}, "resume"),
        ("join", {"resume": {"epoch": "e" * 65, "seq": 1}}, "resume"),
        ("join", {"locale": "fr"}, "locale"),
        ("join", {"takeover": "yes"}, "takeover"),
        ("admit", {"seat": "../../x"}, "seat"),
        ("admit", {"seat": ["a"]}, "seat"),
        ("media.offer", {"sdp": "x" * (m.MAX_SDP + 1)}, "sdp"),
        ("media.offer", {"sources": {"0": "lidar"}}, "sources"),
        ("media.offer", {"sources": {str(i): "mic" for i in range(17)}}, "sources"),
        ("media.offer", {"sources": {"m" * 33: "mic"}}, "sources"),
        ("media.view", {"demands": [{"seat": "a", "source": "camera", "width": -1, "height": 1}]}, "demands"),
        ("media.view", {"demands": [{"seat": "a", "source": "camera", "width": 1, "height": 1}] * 65}, "demands"),
        ("media.mute", {"muted": 1}, "muted"),
        ("hand", {"raised": "true"}, "raised"),
        ("consent.withdraw", {"purposes": []}, "purposes"),
        ("consent.withdraw", {"purposes": ["everything"]}, "purposes"),
        ("consent.spoken", {"phase": "perhaps"}, "phase"),
        ("guest.invite", {"role": "attending"}, "role"),
        ("guest.invite", {"display_name": "x" * 41}, "display_name"),
        ("terminate", {"reason_code": "felt_like_it"}, "reason_code"),
        ("remove", {"reason": "felt_like_it"}, "reason"),
        ("stats", {"freezes": -1}, "freezes"),
        ("stats", {"freezes": float("nan")}, "freezes"),
    ],
)
def test_malformed_bodies_name_the_field_and_nothing_else(event: str, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        m.parse(event, BODIES[event] | change)
    assert ack_of(caught.value) == {"ok": False, "code": "input.invalid", "field": field}
    assert problem_of(caught.value)[0] == 400


@pytest.mark.parametrize("event", ["", "connect", "disconnect", "JOIN", "media", 5, None, ["join"], "__class__"])
def test_unknown_events(event: object) -> None:
    with pytest.raises(UnknownEvent):
        m.parse(event, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(m.EVENTS)), json_values)
def test_any_json_is_parsed_or_refused(event: str, body: Any) -> None:
    try:
        m.parse(event, body)
    except Malformed:
        return


@given(st.sampled_from(sorted(m.EVENTS)), st.data())
def test_any_single_field_replaced_is_parsed_or_refused(event: str, data: st.DataObject) -> None:
    body = dict(BODIES[event])
    body[data.draw(st.sampled_from(sorted(body)))] = data.draw(json_values)
    try:
        m.parse(event, body)
    except Malformed:
        return


async def test_nothing_but_join_before_joining(house: Ward) -> None:
    doctor = house.page("doctor")
    doctor.connect()
    before = len(house.db.events)
    for name, body in BODIES.items():
        if name != "join":
            ack = await doctor.emit(name, **body | ({"op": new_op()} if "op" in body else {}))
            assert ack["code"] in ("session.not_joined", "access.denied"), name
    assert len(house.db.events) == before
    assert house.inside == set()


async def test_roles_decide_for_every_event(house: Ward) -> None:
    people = await house.in_call("daughter", "interpreter")
    nurse = house.page("nurse")
    await nurse.join()
    for person in (*people, nurse):
        for name, handler in HANDLERS.items():
            if handler.action is None or permits(person.seat.role, handler.action):
                continue
            body = BODIES[name]
            ack = await person.emit(name, **body | ({"op": new_op()} if "op" in body else {}))
            assert ack == {"ok": False, "code": "access.denied"}, (person.seat.role, name)
    await house.drain()
    denied = [event for event in house.db.events if event.code == "access.denied"]
    assert {event.public["action"] for event in denied} >= {"admit", "remove", "end", "start_recording"}


async def test_other_consults_are_out_of_reach(house: Ward) -> None:
    doctor, patient = await house.in_call()
    mine, seats = house.consult, dict(house.seats)
    patient_id = house.consult.patient_id
    other = await book(house, patient_id)
    foreign = dict(house.seats)
    house.consult, house.seats = mine, seats
    before = len(house.db.events)
    for event in ("admit", "remove"):
        ack = await doctor.act(event, seat=foreign["patient"].id)
        assert ack["code"] in ("not_found", "visit.removed"), ack
        ack = await doctor.act(event, seat="f" * 32)
        assert ack["code"] in ("not_found", "visit.removed"), ack
    assert len(house.db.events) == before
    mixed = SessionClient(house.live, replace(foreign["patient"], consult_id=mine.id))
    ack = await mixed.join()
    assert ack["code"] == "not_found"
    assert foreign["patient"].id not in house.inside
    assert other.id not in house.live.rooms
    assert patient.connected


async def test_bad_media_is_refused_and_changes_nothing(house: Ward) -> None:
    _doctor, patient = await house.in_call()
    assert (await patient.emit("media.offer", sdp="garbage", sources={}))["code"] == "media.malformed"
    assert (await patient.emit("media.offer", sdp="refused", sources={}))["code"] == "media.offer_refused"
    assert house.room.people[patient.seat.id].offers == []
    demands = [{"seat": "f" * 32, "source": "camera", "width": 10, "height": 10}]
    assert (await patient.emit("media.view", demands=demands))["ok"]
    assert house.room.people[patient.seat.id].demands == []


async def test_a_defect_says_nothing_and_is_logged(house: Ward, caplog: pytest.LogCaptureFixture) -> None:
    _doctor, patient = await house.in_call()
    house.room.people.clear()
    assert (await patient.emit("hand", raised=True))["ok"]
    house.live.media.negotiate = None  # type: ignore[method-assign,assignment]
    house.room.join(patient.seat.id, Grants(frozenset(), subscribe=True))
    with caplog.at_level(logging.ERROR):
        assert await patient.emit("media.offer", sdp="v=0", sources={}) == {"ok": False, "code": "server.internal"}
    assert "a handler failed" in caplog.text
