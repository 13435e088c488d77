"""The ICE-lite agent on a fake clock: nomination, roaming, restart, consent, hostile checks."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from rtc import stun
from rtc.icelite import CONSENT_NS, MAX_ROUTES, RESTART_OVERLAP_NS, SILENCE_NS, CheckResult, Credentials, IceLite

LOCAL = Credentials("ours", "p" * 24)
SECOND = 1_000_000_000


@dataclass
class FakeRoute:
    key: object
    host: str = "192.0.2.7"
    port: int = 4000
    sent: list[bytes] = field(default_factory=list)

    def close(self) -> None: ...

    def send(self, packet: bytes | memoryview) -> bool:
        self.sent.append(bytes(packet))
        return True


def request(
    *, name: str = "ours:theirs", key: str = LOCAL.pwd, nominate: bool = False, body: bytes | None = None
) -> stun.BindingRequest:
    if body is not None:
        return stun.parse_binding_request(stun.sealed(1, bytes(12), body, key.encode()))
    data = stun.binding_request(bytes(12), name, key.encode(), tie_breaker=1, priority=1, nominate=nominate)
    return stun.parse_binding_request(data)


def agent() -> IceLite:
    return IceLite(LOCAL, "theirs", 0)


def test_first_check_opens_a_way_and_nomination_moves_it() -> None:
    ice, wifi, cell = agent(), FakeRoute("wifi"), FakeRoute("cell")
    result = ice.check(request(), wifi, 1)
    assert result.validated
    assert result.response is not None
    assert ice.selected is wifi
    ice.check(request(), cell, 2)
    assert ice.selected is wifi  # a check alone never moves media
    ice.check(request(nominate=True), cell, 3)
    assert ice.selected is cell
    ice.check(request(nominate=True), wifi, 4)
    assert ice.selected is wifi


def test_answers_follow_the_peers_way_until_it_nominates() -> None:
    ice, first, second, third = agent(), FakeRoute("first"), FakeRoute("second"), FakeRoute("third")
    ice.check(request(), first, 1)
    ice.check(request(), second, 2)
    ice.follow("second")
    assert ice.selected is second
    ice.follow("never validated")
    assert ice.selected is second
    ice.check(request(nominate=True), third, 3)
    ice.follow("first")
    assert ice.selected is third


def test_wrong_password_name_or_peer_gets_silence() -> None:
    ice, route = agent(), FakeRoute("x")
    for hostile in (
        request(key="q" * 24),
        request(name="ours:other"),
        request(name="someone:theirs"),
        request(name="ours"),
    ):
        assert ice.check(hostile, route, 1) == CheckResult()
    assert ice.selected is None
    assert ice.routes == ()


def test_role_conflict_sends_the_peer_into_the_controlling_role() -> None:
    body = b"\x00\x06\x00\x0bours:theirs\x00" + b"\x80\x29\x00\x08" + bytes(8)
    ice, route = agent(), FakeRoute("x")
    result = ice.check(request(body=body), route, 1)
    assert not result.validated
    assert result.response is not None
    assert b"\x00\x09\x00\x04\x00\x00\x04\x57" in result.response  # 487
    assert ice.selected is None


def test_unknown_required_attribute_is_refused_after_authentication() -> None:
    body = b"\x00\x06\x00\x0bours:theirs\x00" + b"\x7f\x01\x00\x00"
    result = agent().check(request(body=body), FakeRoute("x"), 1)
    assert not result.validated
    assert result.response is not None
    assert b"\x00\x09\x00\x04\x00\x00\x04\x14" in result.response  # 420


def test_restart_keeps_the_old_way_until_the_new_one_is_nominated() -> None:
    ice, old, new = agent(), FakeRoute("old"), FakeRoute("new")
    ice.check(request(nominate=True), old, 1)
    fresh = Credentials("fresh", "n" * 24)
    assert ice.restart(fresh, "theirs2", 2) is None
    assert ice.check(request(nominate=True), old, 3).validated  # the former generation still counts as alive
    assert ice.selected is old
    assert ice.retire(4) is None
    ice.check(request(name="fresh:theirs2", key=fresh.pwd), new, 5)
    assert ice.selected is old
    ice.check(request(name="fresh:theirs2", key=fresh.pwd, nominate=True), new, 6)
    assert ice.selected is new
    assert ice.retire(7) == LOCAL
    assert ice.check(request(nominate=True), old, 8) == CheckResult()
    assert ice.selected is new


def test_former_credentials_die_of_age() -> None:
    ice = agent()
    ice.restart(Credentials("fresh", "n" * 24), "theirs2", 0)
    assert ice.retire(RESTART_OVERLAP_NS - 1) is None
    assert ice.check(request(), FakeRoute("x"), RESTART_OVERLAP_NS) == CheckResult()
    assert ice.retire(RESTART_OVERLAP_NS) == LOCAL
    assert ice.retire(RESTART_OVERLAP_NS + 1) is None


def test_silence_then_lost_consent() -> None:
    ice = agent()
    ice.check(request(), FakeRoute("x"), SECOND)
    assert not ice.silent(SECOND + SILENCE_NS)
    assert ice.silent(SECOND + SILENCE_NS + 1)
    assert not ice.expired(SECOND + CONSENT_NS)
    ice.heard(20 * SECOND)
    assert not ice.expired(40 * SECOND)
    assert ice.expired(20 * SECOND + CONSENT_NS + 1)


def test_a_closed_connection_falls_back_to_the_latest_other_way() -> None:
    ice, tcp, udp = agent(), FakeRoute("tcp"), FakeRoute("udp")
    ice.check(request(), udp, 1)
    ice.check(request(nominate=True), tcp, 2)
    ice.forget(tcp)
    assert ice.selected is udp
    ice.forget(udp)
    assert ice.selected is None


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=120))
def test_routes_stay_bounded_and_the_selected_one_is_never_displaced(steps: list[tuple[int, bool]]) -> None:
    ice = agent()
    known: set[object] = set()
    for now, (key, nominate) in enumerate(steps):
        result = ice.check(request(nominate=nominate), FakeRoute(key), now)
        known.add(key)
        if result.displaced is not None:
            known.discard(result.displaced.key)
        assert len(ice.routes) <= MAX_ROUTES
        assert {r.key for r in ice.routes} == known
        assert ice.selected in ice.routes
