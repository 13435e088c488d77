"""The resource types of this server: what each is made from and by what it is searched for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from huizhen.fhir import (
    appointment,
    diagnostic_report,
    document_reference,
    encounter,
    imaging_study,
    service_request,
    task,
)
from huizhen.fhir.record import Record
from huizhen.fhir.terms import Resource


@dataclass(frozen=True, slots=True)
class Kind:
    """`tables`: rows whose id is the resource's, each naming its consult; "" means that the id is the consult's."""

    resources: Callable[[Record], list[Resource]]
    tables: tuple[str, ...]
    search: tuple[str, ...]
    profile: str


_ENCOUNTER, _BASED = ("_id", "identifier", "encounter"), ("_id", "identifier", "encounter", "based-on")
KINDS: Mapping[str, Kind] = {
    "ServiceRequest": Kind(service_request.resources, ("panel_requests", "cases"), _ENCOUNTER, "the request"),
    "Task": Kind(task.resources, ("invited_parties", "invitations"), _BASED, "one per invited institution"),
    "Appointment": Kind(appointment.resources, ("",), _BASED, "when, and who comes"),
    "Encounter": Kind(encounter.resources, ("",), ("_id", "identifier", "based-on"), "the consult"),
    "DiagnosticReport": Kind(
        diagnostic_report.resources, ("opinions", "joint_reports"), _BASED, "each signed opinion, the joint report"
    ),
    "DocumentReference": Kind(
        document_reference.resources,
        ("evidence_files", "visit_notes", "decision_notes", "sealed_copies"),
        _ENCOUNTER,
        "papers, the signed note, the decision, the own sealed copy",
    ),
    "ImagingStudy": Kind(imaging_study.resources, ("image_studies",), _BASED, "what lies on the image table"),
}
PEOPLE = ("Patient", "Practitioner", "Organization")  # read by id only
