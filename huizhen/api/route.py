"""What a route is: method, path, models, and who may call. A route without a policy cannot be written down."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel

from clinic.people import Role
from clinic.roles import Action, permits
from huizhen.api.shapes.base import NoBody, NoQuery
from huizhen.problems import Problem

if TYPE_CHECKING:
    from huizhen.api.call import Call

B = TypeVar("B", bound=BaseModel)

ID = r"[0-9a-f]{32}"
# Parameters of DICOMweb paths: identifiers and frame numbers. What is none of ours is not found, like a wrong id.
_DICOMWEB = r"[0-9a-f.,]{1,64}"
_CODE = r"[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}"  # Crockford, as it stands on a paper
SHAPES = dict.fromkeys(("study_uid", "series_uid", "instance_uid", "frames"), _DICOMWEB) | {"code": _CODE}
_PARAMETER = re.compile(r"\{(\w+)\}")


class Door(StrEnum):
    """Where the caller has to have come in."""

    PUBLIC = "public"
    STAFF = "staff"  # cookie hz_staff
    SEAT = "seat"  # cookie hz_device
    RECORDS = "records"  # a system's bearer token, or cookie hz_staff: FHIR
    SCRAPE = "scrape"  # metrics: loopback or bearer token


class Own(StrEnum):
    """Whose thing it is about; the check of that name in `huizhen.api.own` runs first. Strangers get 404."""

    NOTHING = "nothing"  # no resource named
    SELF = "self"  # the caller's own seat or account
    HOUSE = "house"  # lists and forms of the caller's own institution
    CONSULT = "consult"  # of the own institution, or one the caller has a seat or an invitation in
    CONSULT_SEAT = "consult_seat"  # a seat of such a consult
    INVITATION = "invitation"  # addressed to the caller
    STAFF = "staff"  # an account of the own institution
    PATIENT = "patient"  # of the own institution
    RECORDING = "recording"
    SEGMENT = "segment"
    BREAK_GLASS = "break_glass"
    EVIDENCE_FILE = "evidence_file"  # of a consult the caller may know of
    SEAT_FILE = "seat_file"  # of the caller's own consult
    ACCESS = "access"
    HOLD = "hold"
    HOLD_REQUEST = "hold_request"
    CASE = "case"  # a regulator's case of the own institution
    DISPOSAL = "disposal"
    TEMPLATE = "template"
    DRAFT = "draft"
    CONSENT_RECORD = "consent_record"
    SLOT = "slot"
    NOTICE = "notice"
    PANEL = "panel"  # a consult with an expert of the caller's institution
    OPINION = "opinion"  # of an expert of the caller's institution
    REFERRAL = "referral"  # from or to the caller's institution
    TASK = "task"
    COPY = "copy"
    REQUEST = "request"  # between institutions: the own house's, or one the own house was asked by
    PROPOSAL = "proposal"  # of a consult the caller may know of
    COOPERATION = "cooperation"  # the own institution is a party, and was offered it
    HIS_CLIENT = "his_client"  # a hospital system of the own institution
    FHIR = "fhir"  # a resource of a consult the caller may read; the handler finds which
    DIRECTORY = "directory"  # names of institutions and their experts are open to all staff


class Unit(StrEnum):
    """The transaction the dispatcher opens around the handler."""

    NONE = "none"
    READ = "read"
    WRITE = "write"  # claims the body's operation id first


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may call. `actions`: any of them, by any role of the account (of the seat, at the patient's door)."""

    door: Door
    own: Own
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        """A route behind a door names its row of the role table, or nothing starts."""
        if self.door in (Door.STAFF, Door.SEAT, Door.RECORDS) and not self.actions:
            raise ValueError("a route behind a door names its action")

    def admits(self, roles: tuple[Role, ...]) -> bool:
        return not self.actions or any(permits(role, action) for role in roles for action in self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[B]):
    """One row of the table. `answer` is the model of a 200; `claims` False where the use case claims `op` itself."""

    method: str
    path: str
    handler: "Callable[[Call[B]], Awaitable[BaseModel | web.StreamResponse]]"
    policy: Policy
    answer: type[BaseModel]
    summary: str
    body: type[B] = field(default=NoBody)  # type: ignore[assignment]
    query: type[BaseModel] = NoQuery
    unit: Unit = Unit.READ
    claims: bool = True
    refusal: "Callable[[Problem], web.Response]" = Problem.response  # FHIR says it in its own words
    raw: tuple[str, ...] = ()  # media types of a body that is a file; the handler reads it, `op` comes in a header

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(_PARAMETER.findall(self.path))

    @property
    def pattern(self) -> str:
        """The path for aiohttp: a parameter is an id or what `SHAPES` says; anything else is no such page."""
        return _PARAMETER.sub(lambda match: f"{{{match.group(1)}:{SHAPES.get(match.group(1), ID)}}}", self.path)

    @property
    def mutates(self) -> bool:
        return self.method not in ("GET", "HEAD", "OPTIONS")


Table = tuple[Route[Any], ...]


def staff(*actions: Action, own: Own) -> Policy:
    return Policy(Door.STAFF, own, actions)


def records(*actions: Action, own: Own) -> Policy:
    return Policy(Door.RECORDS, own, actions)


def seat(own: Own = Own.SELF, *actions: Action) -> Policy:
    """The patient's door; without a named action what everybody may do on their own page."""
    return Policy(Door.SEAT, own, actions or (Action.OWN_PAGE,))


def public() -> Policy:
    return Policy(Door.PUBLIC, Own.NOTHING)
