"""Why an upload in pieces, or a hospital's own archive of images, was not taken further."""

from huizhen.inspection.errors import UploadError


class WrongVersion(UploadError):
    """Another version of tus than 1.0.0, or none named."""

    code = "upload.version"


class WrongOffset(UploadError):
    """The piece begins elsewhere than where the last one ended: ask (HEAD) and go on from there."""

    code = "upload.offset"


class WrongChecksum(UploadError):
    """The piece is not what its sender says it is; nothing of it was kept."""

    code = "upload.checksum"


class Incomplete(UploadError):
    """Not all bytes are there yet."""

    code = "upload.incomplete"


class Overtaken(UploadError):
    """The same upload goes on over another connection."""

    code = "upload.overtaken"


class TooManyUploads(UploadError):
    """So many uploads of this consult, or of all, are under way as may be: finish or end one first."""

    code = "upload.too_many"
