"""Why a file was not taken. Every refusal leaves nothing behind."""


class UploadError(Exception):
    """Base; `code` is stable and told to clients."""

    code = "upload.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class UploadRefused(UploadError):
    """What the inspection found; one of `verdict.REFUSALS`."""

    code = "upload.refused"

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UploadTooLarge(UploadError):
    """Above the limit: said before or while it arrives, never after."""

    code = "upload.too_large"


class UploadEmpty(UploadError):
    code = "upload.empty"


class UploadBusy(UploadError):
    """Too many files arrive at once, or the same person sends two."""

    code = "upload.busy"


class ScanUnavailable(UploadError):
    """The virus scanner is configured and does not answer: nothing passes unscanned."""

    code = "upload.scan_unavailable"


class InspectionUnavailable(UploadError):
    """The child process could not be started."""

    code = "upload.inspection_unavailable"
