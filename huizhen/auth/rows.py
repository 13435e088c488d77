"""Operational rows of the doors: no secret is in them, only hashes of random 128-bit values and argon2 verifiers."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StaffCredential:
    """One per staff account; `id` is the staff id."""

    id: str
    institution_id: str
    password_hash: str  # argon2id, PHC string
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A login; `id` is the hash of the cookie's secret, so a stolen database opens no session."""

    id: str
    institution_id: str
    staff_id: str
    created_at: datetime
    seen_at: datetime  # moved at most once a minute
    stepped_up_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JoinLink:
    """A patient's or guest's link; `id` is the hash of its secret."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str
    ask: str  # second factor asked on another device: "id_last4" (patient) | "code" (guest)
    code_hash: str | None  # of the code together with the link's secret; None for "id_last4"
    created_at: datetime
    created_by: str
    expires_at: datetime
    redeemed_at: datetime | None = None
    failures: int = 0
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeviceSession:
    """A browser that opened a link; `id` is the hash of the cookie's secret."""

    id: str
    institution_id: str
    consult_id: str
    seat_id: str
    link_id: str
    created_at: datetime
    expires_at: datetime
    identity_confirmed_at: datetime | None = None
    device_checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlaybackView:
    """One opened player: which login may fetch which recording's segments. Its viewing event is on the trail."""

    id: str
    institution_id: str
    recording_id: str
    staff_id: str
    session_id: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class ClientToken:
    """The bearer token of a hospital system; `id` is its hash."""

    id: str
    institution_id: str
    client_id: str
    created_at: datetime
    expires_at: datetime
