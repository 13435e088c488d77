"""Errors of the consult domain."""


class ClinicError(Exception):
    """Base; `code` is stable and told to clients, `detail` is for logs and holds no personal data."""

    code = "clinic.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class IllegalMove(ClinicError):
    """The transition table has no such edge."""

    code = "visit.illegal_move"


class NotPermitted(ClinicError):
    """The role-action table says no."""

    code = "access.denied"


class InvalidInput(ClinicError):
    """A field is missing, too long, or contradicts another; `field` names it."""

    code = "input.invalid"

    def __init__(self, field: str, detail: str = "") -> None:
        super().__init__(f"{field}: {detail}" if detail else field)
        self.field = field


class AdmissionRefused(ClinicError):
    """A gate said no; `reasons` are the coded reasons, in order."""

    code = "visit.not_admitted"

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(",".join(reasons))
        self.reasons = reasons


class Unsigned(ClinicError):
    """A consult cannot close before its notes, opinions or decision are signed."""

    code = "visit.unsigned"


class PapersMissing(Unsigned):
    """As Unsigned, of an expert consult; `reasons` name each paper that is still missing."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(",".join(missing))
        self.reasons = tuple(f"closing.{paper}" for paper in missing)


class DiagnosisNotAllowed(ClinicError):
    """This kind of consult gives advice only (CN-07): its note carries no diagnosis."""

    code = "doc.no_diagnosis"


class PrescriptionInText(ClinicError):
    """A free text that tries to be a prescription (CN-11); `field` names it."""

    code = "doc.prescribes"

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class AlreadySigned(ClinicError):
    code = "doc.already_signed"


class NotTheChair(ClinicError):
    """The joint report is the chair's; an expert writes it only where no chair came (HZ-26)."""

    code = "report.not_the_chair"


class NoReport(ClinicError):
    """There is no signed joint report to agree with or to dissent from."""

    code = "report.not_signed"


class NotSenior(ClinicError):
    """A countersignature is a qualified colleague's of the same institution, no trainee's (HZ-27)."""

    code = "countersign.not_senior"


class NothingToCountersign(ClinicError):
    """The opinion needs no second signature, or has one."""

    code = "countersign.nothing"


class HandedOver(ClinicError):
    """The opinion was late; the named stand-in gives it now (HZ-25)."""

    code = "opinion.handed_over"


class SharingWithdrawn(NotPermitted):
    """The patient does not share with the expert's institution any more; what was signed before stays (rules 6)."""

    code = "opinion.sharing_withdrawn"


class StandInUnfit(ClinicError):
    """A stand-in is another qualified expert of the same institution who has no part in the consult yet (HZ-25)."""

    code = "opinion.stand_in_unfit"


class CopyNotReady(ClinicError):
    """The sealed copy is still being made."""

    code = "copy.not_ready"


class SeatClosed(ClinicError):
    """The doctor removed this seat; it does not open again."""

    code = "visit.removed"


class RoomListChanged(ClinicError):
    """Somebody came or went since the list was read: read it again."""

    code = "visit.room_list_changed"


class SlotClosed(ClinicError):
    """These hours take no further booking."""

    code = "slot.closed"


class SlotFull(ClinicError):
    """Every place is taken (or over)."""

    code = "slot.full"


class DoctorBusy(ClinicError):
    """The doctor has something else at that time; `detail` says whether hours or a visit."""

    code = "slot.doctor_busy"


class DoctorInPanel(DoctorBusy):
    """The doctor accepted to advise in a panel of another institution at that time (HZ-18)."""

    code = "slot.doctor_in_panel"


class NotWaiting(ClinicError):
    """Nobody waits there."""

    code = "waiting.nobody"


class WasWaiting(ClinicError):
    """The patient waits, or has waited: whoever did not come, it was not them (HZ-14)."""

    code = "absence.patient_waited"


class WasPresent(ClinicError):
    """The doctor was in the room at the time (HZ-14)."""

    code = "absence.doctor_was_there"


class TooEarly(ClinicError):
    """An absence is recorded only after the set time (HZ-14)."""

    code = "absence.too_early"


class NobodyMissed(ClinicError):
    """No patient waited for the doctor (HZ-14)."""

    code = "absence.nobody_waited"


class NoCase(ClinicError):
    """No case opened to this regulator covers what they asked for."""

    code = "regulator.no_case"


class CaseOver(ClinicError):
    """The case covered it, and its time is over (or it was closed)."""

    code = "regulator.case_over"


class NoticeClosed(ClinicError):
    """The message has no content any more: dropped, or handed over and erased."""

    code = "notice.closed"


class NoAddress(ClinicError):
    """Nowhere to send the message to."""

    code = "notice.no_address"
