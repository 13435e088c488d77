"""Errors of the consent domain."""


class ConsentError(Exception):
    """Base; `code` is stable and told to clients."""

    code = "consent.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class ConsentMissing(ConsentError):
    """A purpose that must be permitted is not; `purposes` lists them."""

    code = "consent.missing"

    def __init__(self, purposes: tuple[str, ...]) -> None:
        super().__init__(",".join(purposes))
        self.purposes = purposes


class WordingChanged(ConsentError):
    """What was signed is not what is published now: show the text again."""

    code = "consent.wording_changed"


class DecisionIncomplete(ConsentError):
    """Each purpose of the text must be decided, yes or no; none may be left open."""

    code = "consent.decision_incomplete"


class SignatureInvalid(ConsentError):
    """No strokes, no typed name, or a name that is not the signer's."""

    code = "consent.signature_invalid"


class NothingToWithdraw(ConsentError):
    code = "consent.nothing_to_withdraw"


class RecordingNotPermitted(ConsentError):
    """The recording gate said no; `reasons` are codes, `seats` those who have not agreed."""

    code = "consent.recording_not_permitted"

    def __init__(self, reasons: tuple[str, ...], seats: tuple[str, ...] = ()) -> None:
        super().__init__(",".join(reasons))
        self.reasons = reasons
        self.seats = seats
