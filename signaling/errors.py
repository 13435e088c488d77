"""Errors of the live edge, and the one function that turns any coded error into an ack (or an HTTP problem)."""

from typing import Any

from audit.errors import AuditError, DuplicateOperation, MissingRow, StaleRow
from clinic.errors import AdmissionRefused, ClinicError, InvalidInput, NotPermitted
from clinic.panels.errors import NoQuorum
from consent.errors import ConsentError, ConsentMissing, RecordingNotPermitted, TranscriptionNotPermitted
from imaging.errors import ImagingError
from recording.errors import RecordingError
from rtc.errors import MediaError


class SignalingError(Exception):
    """Base; `code` is stable and told to clients, `detail` is for logs and holds no personal data."""

    code = "session.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class Malformed(SignalingError):
    """Not what the protocol says; `field` names the place."""

    code = "input.invalid"

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class UnknownEvent(SignalingError):
    code = "session.unknown_event"


class NotJoined(SignalingError):
    """Anything but `join` before a successful join, or after leaving."""

    code = "session.not_joined"


class NotAdmitted(SignalingError):
    """Still in the waiting room."""

    code = "session.waiting"


class OtherDevice(SignalingError):
    """The seat is in use on another device; ask the person, then join with `takeover`."""

    code = "session.other_device"


class TooFast(SignalingError):
    """More events than the limit: refused, not queued."""

    code = "rate.limited"


class Busy(SignalingError):
    """The session's inbox or the room is full."""

    code = "session.busy"


class RoomOver(SignalingError):
    """The consult's media is over."""

    code = "session.over"


class TokenRefused(SignalingError):
    """A ticket or device token that is malformed, forged, expired, used, or for something else."""

    def __init__(self, code: str = "token.invalid") -> None:
        super().__init__(code)
        self.code = code


INTERNAL = "server.internal"
UNAVAILABLE = "server.unavailable"  # the store is full, busy or gone: worth another try

_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (TokenRefused, 401),
    (MissingRow, 404),
    (NotPermitted, 403),
    (ConsentMissing, 403),
    (Malformed, 400),
    (UnknownEvent, 400),
    (TooFast, 429),
    (Busy, 503),
    (NotAdmitted, 403),
    (InvalidInput, 422),
    (DuplicateOperation, 409),
    (StaleRow, 409),
)


def is_coded(error: BaseException) -> bool:
    """Whether the error was raised on purpose, with a stable code."""
    return isinstance(
        error, (SignalingError, AuditError, ClinicError, ConsentError, ImagingError, RecordingError, MediaError)
    )


def ack_of(error: BaseException) -> dict[str, Any]:
    """The refusal as an ack. Anything not raised on purpose is `server.internal` and says nothing more."""
    if not is_coded(error):
        code = getattr(error, "code", None)  # the store's own errors: full, busy, unavailable
        unavailable = isinstance(code, str) and code.startswith("store.")
        return {"ok": False, "code": UNAVAILABLE if unavailable else INTERNAL}
    ack: dict[str, Any] = {"ok": False, "code": getattr(error, "code", INTERNAL)}
    if isinstance(error, (AdmissionRefused, NoQuorum, RecordingNotPermitted, TranscriptionNotPermitted)):
        ack["reasons"] = list(error.reasons)
    if isinstance(error, (RecordingNotPermitted, TranscriptionNotPermitted)) and error.seats:
        ack["seats"] = list(error.seats)
    if isinstance(error, ConsentMissing):
        ack["reasons"] = [str(purpose) for purpose in error.purposes]
    if isinstance(error, (InvalidInput, Malformed)):
        ack["field"] = error.field
    return ack


def problem_of(error: BaseException) -> tuple[int, dict[str, Any]]:
    """The same refusal for HTTP: (status, RFC 9457 problem)."""
    ack = ack_of(error)
    status = next((s for kind, s in _STATUS if isinstance(error, kind)), 409 if is_coded(error) else 500)
    if isinstance(error, MediaError):
        status = 400 if ack["code"] in ("media.malformed", "media.offer_refused") else 409
    body = {"type": f"urn:huizhen:{ack['code']}", "title": ack["code"], "status": status}
    return status, {**body, **{key: value for key, value in ack.items() if key != "ok"}}
