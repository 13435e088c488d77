"""Bodies and answers about the rules of a consult: verdict gate by gate, attestation, whereabouts, filings, roster."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from clinic.admission import GateState, Stage
from clinic.facts import FilingKind
from huizhen.api.shapes.base import Answer, Body, Code, GivenDate, GivenMoment, Id, Label, Line, Moment, Name, Query

Phone = Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{3,32}$")]


class StageQuery(Query):
    stage: Stage = Stage.RECEPTION


class ValueView(Answer):
    name: str
    value: int
    layer: str


class GateView(Answer):
    """One gate of the consult's kind. `notice` names the dated notice that suspends it."""

    rule: str
    state: GateState
    codes: list[str]
    text: Label
    citation: Label
    values: list[ValueView]
    read: list[str]
    notice: str | None = None


class LayerView(Answer):
    version: str
    kind: str
    title: Label


class Explained(Answer):
    """Why a consult may or may not open: every gate, with the layer each value came from."""

    allowed: bool
    stage: Stage
    rules_version: str
    layers: list[LayerView]
    gates: list[GateView]


class AttestationView(Answer):
    evidence: str
    diagnosis: str
    visited_on: str
    visited_institution: str
    doctor: str
    signed_at: Moment


class AttestBody(Body):
    evidence_id: Id
    diagnosis: Annotated[Line, Field(min_length=1)]


class WhereaboutsBody(Body):
    location: Annotated[Line, Field(min_length=2)]
    contact_name: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    contact_phone: Phone


class WhereaboutsView(Answer):
    location: str | None = None
    contact_name: str | None = None
    contact_phone: str | None = None


class FilingBody(Body):
    kind: FilingKind
    number: Name
    valid_from: GivenDate
    valid_to: GivenDate | None = None


class FilingView(Answer):
    id: str
    kind: FilingKind
    number: str
    valid_from: str
    valid_to: str | None
    revoked_at: Moment | None


class ShiftBody(Body):
    department: Code
    starts_at: GivenMoment
    ends_at: GivenMoment


class ShiftView(Answer):
    id: str
    department: str
    department_label: Label
    starts_at: Moment
    ends_at: Moment
    cancelled_at: Moment | None


class GuardianBody(Body):
    name: Name
    relation: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    proof: Literal["", "household_register", "birth_certificate", "court_order", "other"] = ""
    reference: Line = ""


class GuardianView(Answer):
    id: str
    name: str
    relation: str
    proof: str
    reference: str
    ended_at: Moment | None


class AgreementBody(Body):
    doctor_id: Id
    number: Name
    signed_on: GivenDate
    valid_to: GivenDate


class AgreementView(Answer):
    id: str
    doctor: str
    number: str
    signed_on: str
    valid_to: str
    ended_at: Moment | None
