"""Short-lived JWTs: the 60-second single-use socket ticket, and the bearer tokens of WHIP/WHEP devices.

Each kind has its own key, and each key exactly one algorithm: the header's `alg` and `kid` select nothing, they are
only compared (RFC 8725 3.1, 3.12). The ticket key is random per process, so a restart voids tickets and with them
the replay table. No personal data inside; a device's label is what staff typed for a machine.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

import jwt

from clinic.people import Role
from signaling.errors import TokenRefused

ALGORITHM = "HS256"
TICKET_SECONDS = 60
DEVICE_LIFETIME = timedelta(hours=12)
MAX_TOKEN = 4096  # characters; a longer one is not looked at
_CLAIMS = ["exp", "nbf", "iat", "iss", "aud", "sub", "jti"]
DeviceKind = Literal["whip", "whep"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who may open one socket. `device_id` names the browser, so that a reload is told from a second device."""

    seat_id: str
    consult_id: str
    institution_id: str
    role: Role
    device_id: str
    grants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceToken:
    """One stream in or out for one device, on behalf of one seat."""

    id: str  # 8 hex: the device's part of its participant id
    seat_id: str
    consult_id: str
    institution_id: str
    kind: DeviceKind
    label: str
    grants: tuple[str, ...]


class ReplayTable:
    """Token ids already used. Holds them only until they would have expired anyway."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._used)

    def use(self, token_id: str, expires: float, now: float) -> bool:
        """False when it was used before. Times in Unix seconds."""
        for known in [known for known, until in self._used.items() if until < now]:
            del self._used[known]
        if token_id in self._used:
            return False
        self._used[token_id] = expires
        return True


@dataclass(frozen=True, slots=True)
class _Key:
    audience: str
    secret: bytes

    @property
    def id(self) -> str:
        return sha256(b"huizhen-kid\x00" + self.secret).hexdigest()[:16]


class TokenBook:
    """Issues and reads both kinds. `device_key`: at least 32 random bytes, kept over restarts."""

    def __init__(self, issuer: str, device_key: bytes, clock: Callable[[], datetime]) -> None:
        if len(device_key) < 32:
            raise ValueError("a device key has at least 32 bytes")
        self._issuer = issuer
        self._clock = clock
        self._socket = _Key("huizhen:socket", secrets.token_bytes(32))
        self._devices: dict[DeviceKind, _Key] = {
            kind: _Key(f"huizhen:{kind}", sha256(kind.encode() + b"\x00" + device_key).digest())
            for kind in ("whip", "whep")
        }
        self._replay = ReplayTable()

    def issue_ticket(
        self,
        *,
        seat_id: str,
        consult_id: str,
        institution_id: str,
        role: Role,
        device_id: str,
        grants: Sequence[str],
    ) -> str:
        """A ticket for one socket, good for 60 s. Call it only after the consent gate let the seat through."""
        claims = {"sub": seat_id, "con": consult_id, "inst": institution_id, "role": str(role), "dev": device_id}
        return self._sign(self._socket, claims | {"grants": list(grants)}, timedelta(seconds=TICKET_SECONDS))

    def redeem_ticket(self, token: object) -> Ticket:
        """The ticket, once. Raises TokenRefused: token.invalid, token.expired or token.used."""
        claims = self._read(self._socket, token)
        try:
            role = Role(_text(claims, "role"))
        except ValueError:
            raise TokenRefused from None
        ticket = Ticket(
            seat_id=_text(claims, "sub"),
            consult_id=_text(claims, "con"),
            institution_id=_text(claims, "inst"),
            role=role,
            device_id=_text(claims, "dev"),
            grants=_grants(claims),
        )
        if not self._replay.use(_text(claims, "jti"), float(claims["exp"]), self._clock().timestamp()):
            raise TokenRefused("token.used")
        return ticket

    def issue_device(
        self,
        *,
        seat_id: str,
        consult_id: str,
        institution_id: str,
        kind: DeviceKind,
        label: str,
        lifetime: timedelta = DEVICE_LIFETIME,
    ) -> str:
        """A bearer token for one device. It is worth nothing once its seat has left or the room is closed."""
        grants = ["mic", "camera"] if kind == "whip" else ["subscribe"]
        claims = {"sub": seat_id, "con": consult_id, "inst": institution_id, "lab": label[:40], "grants": grants}
        return self._sign(self._devices[kind], claims, lifetime)

    def read_device(self, token: object, kind: DeviceKind) -> DeviceToken:
        """Raises TokenRefused: token.invalid or token.expired. A WHIP token opens no WHEP door and the reverse."""
        claims = self._read(self._devices[kind], token)
        return DeviceToken(
            id=_text(claims, "jti")[:8],
            seat_id=_text(claims, "sub"),
            consult_id=_text(claims, "con"),
            institution_id=_text(claims, "inst"),
            kind=kind,
            label=_text(claims, "lab"),
            grants=_grants(claims),
        )

    def _sign(self, key: _Key, claims: dict[str, Any], lifetime: timedelta) -> str:
        now = self._clock().astimezone(UTC)
        standard = {
            "iss": self._issuer,
            "aud": key.audience,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims | standard, key.secret, algorithm=ALGORITHM, headers={"kid": key.id})

    def _read(self, key: _Key, token: object) -> dict[str, Any]:
        """Verified claims. Times are judged by our own clock, not the library's."""
        if not isinstance(token, str) or not token.isascii() or len(token) > MAX_TOKEN:
            raise TokenRefused
        options: Any = {"require": _CLAIMS, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            header = jwt.get_unverified_header(token)
            if header.get("kid") != key.id or header.get("alg") != ALGORITHM or "crit" in header:
                raise TokenRefused
            claims: dict[str, Any] = jwt.decode(
                token, key.secret, algorithms=[ALGORITHM], audience=key.audience, issuer=self._issuer, options=options
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise TokenRefused from None
        now = self._clock().timestamp()
        times = [claims["nbf"], claims["iat"], claims["exp"]]
        if any(type(moment) is not int for moment in times) or claims["aud"] != key.audience:
            raise TokenRefused
        if now >= claims["exp"]:
            raise TokenRefused("token.expired")
        if int(now) < claims["nbf"] or int(now) < claims["iat"]:
            raise TokenRefused
        return claims


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or len(value) > 128:
        raise TokenRefused
    return value


def _grants(claims: dict[str, Any]) -> tuple[str, ...]:
    value = claims.get("grants")
    if not isinstance(value, list) or len(value) > 16 or not all(isinstance(grant, str) for grant in value):
        raise TokenRefused
    return tuple(value)
