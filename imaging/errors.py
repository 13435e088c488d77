"""Errors of the image table."""


class ImagingError(Exception):
    """Base; `code` is stable and told to clients, `detail` is for logs and holds no personal data."""

    code = "images.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class NotTaken(ImagingError):
    """The consult takes no images now: it is over, or not begun by anybody."""

    code = "images.not_taken"


class TooMany(ImagingError):
    """The consult holds as many studies, series or instances as it may."""

    code = "images.too_many"


class Conflict(ImagingError):
    """Another file with the same identifier is there already; the first one stands."""

    code = "images.conflict"


class NotOpened(ImagingError):
    """Frames are told only to who opened the series on record, in the last hours."""

    code = "images.not_opened"


class WrongForm(ImagingError):
    """A picture is told in frames; photos, papers and traces are told whole."""

    code = "images.wrong_form"


class IdentityUnconfirmed(ImagingError):
    """The names in the file are not the patient's, and nobody of the inviting side has said that they are."""

    code = "images.identity_unconfirmed"


class IdentityNotAsked(ImagingError):
    """Nothing differs, or it has been confirmed already."""

    code = "images.identity_not_asked"


class Stranger(ImagingError):
    """The names of the study in the hospital's archive are not this patient's."""

    code = "images.stranger"


class NoPacs(ImagingError):
    """This institution has named no archive of images."""

    code = "images.no_pacs"


class PacsUnavailable(ImagingError):
    """The hospital's archive does not answer, or answers with what is no DICOMweb."""

    code = "images.pacs_unavailable"


class BadMeasurement(ImagingError):
    """A measurement that does not lie on its picture or is of no known kind."""

    code = "images.bad_measurement"


class NothingToReport(ImagingError):
    """No saved measurement lies on a DICOM picture of this study."""

    code = "images.nothing_to_report"


class ReportFailed(ImagingError):
    """The measurement report could not be written from the study's own file."""

    code = "images.report_failed"
