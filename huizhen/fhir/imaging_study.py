"""ImagingStudy: what lies on the image table, with the DICOMweb address it is read from. Pixels are never in it."""

from huizhen.fhir.record import Record
from huizhen.fhir.terms import DICOM, Resource, concept, identifier, kept, reference
from imaging import uids
from imaging.records import ImageSeries, ImageStudy

_DICOM_UID = "urn:dicom:uid"
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"


def resources(record: Record) -> list[Resource]:
    return [_study(record, row) for row in record.studies]


def _study(record: Record, row: ImageStudy) -> Resource:
    series = [each for each in record.series if each.study_id == row.id]
    own = [each for each in record.instances if each.study_id == row.id]
    return kept(
        {
            "resourceType": "ImagingStudy",
            "id": row.id,
            "contained": [_endpoint(record)],
            "identifier": [
                {"system": _DICOM_UID, "value": f"urn:oid:{uids.told(row.id)}"},
                identifier("image-study", row.id),
            ],
            "status": "available",
            "modality": [{"system": DICOM, "code": code} for code in dict.fromkeys(each.modality for each in series)],
            "subject": reference("Patient", record.consult.patient_id),
            "encounter": reference("Encounter", record.consult.id),
            "started": _day(row.day),
            "basedOn": [reference("ServiceRequest", record.asked.id)] if record.asked else None,
            "endpoint": [{"reference": "#dicomweb"}],
            "numberOfSeries": len(series),
            "numberOfInstances": len(own),
            "description": row.description,
            "series": [_series(record, each) for each in series],
        }
    )


def _series(record: Record, row: ImageSeries) -> Resource:
    own = [each for each in record.instances if each.series_id == row.id]
    return kept(
        {
            "uid": uids.told(row.id),
            "number": max(0, row.number),
            "modality": {"system": DICOM, "code": row.modality},
            "description": row.description,
            "numberOfInstances": len(own),
            "instance": [
                kept(
                    {
                        "uid": uids.told(each.id),
                        "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{each.sop_class}"},
                        "number": max(0, each.number),
                    }
                )
                for each in own
            ],
        }
    )


def _endpoint(record: Record) -> Resource:
    return {
        "resourceType": "Endpoint",
        "id": "dicomweb",
        "status": "active",
        "connectionType": {"system": _CONNECTION, "code": "dicom-wado-rs"},
        "payloadType": [concept("DICOM WADO-RS")],
        "payloadMimeType": ["application/dicom+json"],
        "address": f"{record.base}/api/consults/{record.consult.id}/dicomweb",
    }


def _day(text: str) -> str | None:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else None
