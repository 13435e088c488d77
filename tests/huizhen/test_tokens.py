"""Tickets and device tokens: one algorithm per key, single use, nothing forged gets through."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from clinic.people import Role
from huizhen.tokens import TICKET_SECONDS, ReplayTable, TokenBook
from signaling.errors import TokenRefused
from tests.support.clock import FakeClock

KEY = b"k" * 32


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book(clock: FakeClock) -> TokenBook:
    return TokenBook("https://a.example", KEY, clock)


def ticket(book: TokenBook, **changes: Any) -> str:
    values: dict[str, Any] = {
        "seat_id": "s" * 32,
        "consult_id": "c" * 32,
        "institution_id": "i" * 32,
        "role": Role.PATIENT,
        "device_id": "d" * 32,
        "grants": ("mic", "camera", "subscribe"),
    }
    return book.issue_ticket(**(values | changes))


def device(book: TokenBook, kind: Any = "whip") -> str:
    return book.issue_device(seat_id="s" * 32, consult_id="c" * 32, institution_id="i" * 32, kind=kind, label="超声")


def code_of(book: TokenBook, token: object) -> str:
    with pytest.raises(TokenRefused) as caught:
        book.redeem_ticket(token)
    return caught.value.code


def test_a_ticket_opens_one_socket(book: TokenBook) -> None:
    token = ticket(book)
    opened = book.redeem_ticket(token)
    assert (opened.seat_id, opened.consult_id, opened.role) == ("s" * 32, "c" * 32, Role.PATIENT)
    assert opened.grants == ("mic", "camera", "subscribe")
    assert code_of(book, token) == "token.used"


def test_a_ticket_lives_sixty_seconds(book: TokenBook, clock: FakeClock) -> None:
    token = ticket(book)
    clock.advance(TICKET_SECONDS - 1)
    early = ticket(book)
    assert book.redeem_ticket(token)
    clock.advance(TICKET_SECONDS)
    assert code_of(book, early) == "token.expired"


def test_a_ticket_from_the_future_is_refused(book: TokenBook, clock: FakeClock) -> None:
    token = ticket(book)
    clock.advance(-5)
    assert code_of(book, token) == "token.invalid"


def test_a_restart_voids_tickets_but_not_device_tokens(book: TokenBook, clock: FakeClock) -> None:
    again = TokenBook("https://a.example", KEY, clock)
    assert code_of(again, ticket(book)) == "token.invalid"
    assert again.read_device(device(book), "whip").label == "超声"


def test_kinds_do_not_open_each_others_doors(book: TokenBook, clock: FakeClock) -> None:
    whip, whep, socket = device(book, "whip"), device(book, "whep"), ticket(book)
    assert book.read_device(whip, "whip").grants == ("mic", "camera")
    assert book.read_device(whep, "whep").grants == ("subscribe",)
    for token, kind in ((whip, "whep"), (whep, "whip"), (socket, "whip"), (socket, "whep")):
        with pytest.raises(TokenRefused):
            book.read_device(token, kind)  # type: ignore[arg-type]
    assert code_of(book, whip) == "token.invalid"
    clock.advance(timedelta(hours=12).total_seconds())
    with pytest.raises(TokenRefused, match=r"token\.expired"):
        book.read_device(whip, "whip")


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forgeries(book: TokenBook) -> dict[str, object]:
    token = ticket(book)
    head, body, signature = token.split(".")
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    secret = book._socket.secret
    kid = {"kid": header["kid"]}

    def signed(
        changes: dict[str, Any],
        headers: dict[str, Any] | None = None,
        algorithm: str = "HS256",
        key: bytes = secret,
    ) -> str:
        kept = {name: value for name, value in (claims | changes).items() if value is not ...}
        return jwt.encode(kept, key, algorithm=algorithm, headers=kid if headers is None else headers)

    other = TokenBook("https://b.example", KEY, lambda: FakeClock()())
    cases: dict[str, object] = {
        "alg none": f"{_part({'alg': 'none', 'typ': 'JWT', **kid})}.{body}.",
        "alg none, signature kept": f"{_part({'alg': 'none', **kid})}.{body}.{signature}",
        "alg NoNe": f"{_part({'alg': 'NoNe', **kid})}.{body}.",
        "alg missing": f"{_part(kid)}.{body}.{signature}",
        "alg RS256 over an HMAC": f"{_part({'alg': 'RS256', **kid})}.{body}.{signature}",
        "alg HS512, our key": signed({}, algorithm="HS512", key=secret * 2),
        "alg HS384": f"{_part({'alg': 'HS384', **kid})}.{body}.{signature}",
        "no kid": signed({}, headers={}),
        "kid path": signed({}, headers={"kid": "../../dev/null"}),
        "kid sql": signed({}, headers={"kid": "x' UNION SELECT 'k"}),
        "kid list": f"{_part({'alg': 'HS256', 'kid': [header['kid']]})}.{body}.{signature}",
        "crit": signed({}, headers=kid | {"crit": ["exp"]}),
        "jku": f"{_part({'alg': 'HS256', 'jku': 'https://evil.example/k'})}.{body}.{signature}",
        "no signature": f"{head}.{body}.",
        "other key": signed({}, key=b"x" * 32),
        "key is the kid": signed({}, key=header["kid"].encode() * 2),
        "device key": signed({}, key=KEY),
        "other issuer's book": ticket(other),
        "aud foreign": signed({"aud": "huizhen:whip"}),
        "aud list": signed({"aud": ["huizhen:socket", "x"]}),
        "aud missing": signed({"aud": ...}),
        "iss foreign": signed({"iss": "https://b.example"}),
        "iss missing": signed({"iss": ...}),
        "exp missing": signed({"exp": ...}),
        "exp text": f"{head}.{_part(claims | {'exp': 'never'})}.{signature}",
        "exp float": signed({"exp": claims["exp"] + 0.5}),
        "exp huge, unsigned": f"{head}.{_part(claims | {'exp': 9_999_999_999})}.{signature}",
        "exp past": signed({"exp": claims["iat"] - 1}),
        "nbf missing": signed({"nbf": ...}),
        "nbf future": signed({"nbf": claims["nbf"] + 60}),
        "iat missing": signed({"iat": ...}),
        "iat future": signed({"iat": claims["iat"] + 60}),
        "jti missing": signed({"jti": ...}),
        "jti number": f"{head}.{_part(claims | {'jti': 5})}.{signature}",
        "sub missing": signed({"sub": ...}),
        "sub long": signed({"sub": "s" * 500}),
        "role unknown": signed({"role": "root"}),
        "role missing": signed({"role": ...}),
        "role list": signed({"role": ["attending"]}),
        "role changed, unsigned": f"{head}.{_part(claims | {'role': 'attending'})}.{signature}",
        "seat changed, unsigned": f"{head}.{_part(claims | {'sub': 'x' * 32})}.{signature}",
        "grants text": signed({"grants": "mic"}),
        "grants numbers": signed({"grants": [1]}),
        "grants endless": signed({"grants": ["mic"] * 100}),
        "con missing": signed({"con": ...}),
        "inst missing": signed({"inst": ...}),
        "dev missing": signed({"dev": ...}),
        "signature cut": f"{head}.{body}.{signature[:-4]}",
        "signature flipped": f"{head}.{body}.{signature[::-1]}",
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.x",
        "five parts (JWE)": f"{token}.x.y",
        "whitespace": f" {token}",
        "empty": "",
        "dots": "..",
        "not text": 5,
        "bytes": token.encode(),
        "none": None,
        "list": [token],
        "non-ascii": token[:-1] + "é",
        "oversized": token + "A" * 5000,
        "body not JSON": f"{head}.{base64.urlsafe_b64encode(b'{{').decode()}.{signature}",
        "body a list": f"{head}.{_part(claims)[:10]}.{signature}",
    }
    return cases


def test_sixty_forged_tokens_none_accepted(book: TokenBook) -> None:
    cases = forgeries(book)
    assert len(cases) >= 60
    for name, token in cases.items():
        assert code_of(book, token) in ("token.invalid", "token.expired"), name
    assert len(book._replay) == 0, "a refused token leaves no memory"


def test_replay_table_forgets_what_has_expired() -> None:
    table = ReplayTable()
    assert all(table.use(f"t{i}", 60.0, 0.0) for i in range(100))
    assert not table.use("t5", 60.0, 59.0)
    assert table.use("late", 200.0, 100.0)
    assert len(table) == 1


def test_a_short_device_key_is_refused(clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="32"):
        TokenBook("n1", b"short", clock)
