"""From a coded error to an RFC 9457 problem: the only place where a code gets its HTTP status."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

from aiohttp import web

from archive.errors import ArchiveError
from audit.errors import AuditError
from clinic.errors import ClinicError
from consent.errors import ConsentError
from huizhen.auth.errors import AuthError
from huizhen.inspection.errors import UploadError
from huizhen.store.errors import StoreError
from huizhen.verification import NotLocal
from imaging.errors import ImagingError
from recording.errors import RecordingError
from rtc.errors import MediaError
from signaling.errors import SignalingError

CONTENT_TYPE = "application/problem+json"
CODED = (
    AuditError,
    ClinicError,
    ConsentError,
    RecordingError,
    ArchiveError,
    MediaError,
    SignalingError,
    AuthError,
    StoreError,
    NotLocal,
    UploadError,
    ImagingError,
)


class RequestError(Exception):
    """A request that never reached a use case."""

    code = "request.invalid"

    def __init__(self, code: str = "", field_name: str | None = None) -> None:
        super().__init__(code or self.code)
        self.code = code or self.code
        self.field = field_name


STATUS: Mapping[str, int] = {
    "request.malformed": 400,
    "request.media_type": 415,
    "request.too_large": 413,
    "request.timeout": 503,
    "request.method": 405,
    "request.query": 422,
    "request.range": 416,
    "input.invalid": 422,
    "rate.limited": 429,
    "session.required": 401,
    "login.refused": 401,
    "step_up.required": 403,
    "step_up.refused": 403,
    "csrf.invalid": 403,
    "password.too_weak": 422,
    "link.unknown": 404,
    "link.expired": 410,
    "link.locked": 403,
    "link.second_factor": 401,
    "access.denied": 403,
    "not_found": 404,
    "consent.missing": 403,
    "consent.offline_visit": 403,
    "consent.ask_again": 403,
    "consent.decide_first": 403,
    "consent.guest_refused_recording": 403,
    "consent.decision_incomplete": 422,
    "consent.signature_invalid": 422,
    "archive.no_grant": 403,
    "archive.same_hands": 403,
    "archive.disposed": 410,
    "recording.destroyed": 410,
    "recording.no_space": 507,
    "recording.recorder_unavailable": 503,
    "media.malformed": 400,
    "media.offer_refused": 422,
    "media.not_granted": 403,
    "media.unknown_participant": 404,
    "token.invalid": 401,
    "token.expired": 401,
    "token.used": 401,
    "visit.removed": 403,
    "report.not_the_chair": 403,
    "countersign.not_senior": 403,
    "opinion.stand_in_unfit": 422,
    "opinion.sharing_withdrawn": 403,
    "regulator.no_case": 403,
    "regulator.case_over": 403,
    "consent.capacity_invalid": 422,
    "upload.error": 422,
    "upload.refused": 422,
    "upload.too_large": 413,
    "upload.empty": 422,
    "upload.busy": 503,
    "upload.scan_unavailable": 503,
    "upload.inspection_unavailable": 503,
    "upload.unknown_type": 415,
    "upload.type_mismatch": 415,
    "upload.damaged": 422,
    "upload.hidden_content": 422,
    "upload.active_content": 422,
    "upload.encrypted": 422,
    "upload.too_many_pages": 422,
    "upload.too_complex": 422,
    "upload.infected": 422,
    "upload.version": 412,
    "upload.checksum": 460,
    "images.error": 409,
    "images.unsupported": 415,
    "images.pacs_unavailable": 502,
    "images.report_failed": 502,
    "images.bad_measurement": 422,
    "consent.wording_incomplete": 422,
    "consent.same_hands": 403,
    "consent.witness_missing": 403,
    "consent.identity_too_low": 403,
    "consent.policy_invalid": 500,
    "paper.failed": 500,
    "paper.busy": 503,
    "paper.font_missing": 500,
    "paper.certificate_unusable": 500,
    "authority.failed": 502,
    "consent.companion_invalid": 422,
    "consent.speech_unavailable": 503,
    "store.error": 500,
    "store.full": 507,
    "store.busy": 503,
    "store.unavailable": 503,
    "store.key_missing": 500,
    "store.keys_unreadable": 500,
    "store.blob_missing": 500,
    "store.blob_damaged": 500,
    "recording.segment_damaged": 500,
    "audit.error": 500,
    "audit.unrecorded_write": 500,
    "audit.invalid_event": 500,
    "audit.diverged": 503,
    "server.error": 500,
}
OTHERWISE = 409  # a well-formed request that the present state does not allow


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal, ready for the wire. `extra` holds ask, seats, purposes: codes and ids, never personal data."""

    status: int
    code: str
    reasons: tuple[str, ...] = ()
    field: str | None = None
    extra: Mapping[str, Any] = member(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The members of the problem document."""
        body: dict[str, Any] = {"type": f"urn:huizhen:{self.code}", "title": self.code, "status": self.status}
        body["code"] = self.code
        if self.reasons:
            body["reasons"] = list(self.reasons)
        if self.field is not None:
            body["field"] = self.field
        return body | dict(self.extra)

    def response(self) -> web.Response:
        headers = {"Retry-After": "60"} if self.status == 429 else {}
        return web.Response(
            status=self.status, body=json.dumps(self.body()).encode(), content_type=CONTENT_TYPE, headers=headers
        )


def problem_of(error: BaseException) -> Problem:
    """The problem for any error whatever. Unknown ones say nothing of themselves."""
    if isinstance(error, web.HTTPException):
        return _of_http(error)
    if isinstance(error, TimeoutError):
        return Problem(STATUS["request.timeout"], "request.timeout")
    if not isinstance(error, (*CODED, RequestError)):
        return Problem(500, "server.error")
    reasons = tuple(str(reason) for reason in getattr(error, "reasons", ()) or getattr(error, "purposes", ()))
    field_name = getattr(error, "field", None)
    extra = {name: _plain(value) for name in ("ask", "seats") if (value := getattr(error, name, None))}
    return Problem(STATUS.get(error.code, OTHERWISE), error.code, reasons, field_name, extra)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else [str(item) for item in value]


def _of_http(error: web.HTTPException) -> Problem:
    codes = {
        404: "not_found",
        405: "request.method",
        413: "request.too_large",
        415: "request.media_type",
        416: "request.range",
    }
    code = codes.get(error.status, "request.malformed" if error.status < 500 else "server.error")
    return Problem(error.status if error.status in codes else STATUS[code], code)
