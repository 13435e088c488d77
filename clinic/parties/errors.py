"""Errors of the parties."""

from clinic.errors import ClinicError


class WordsChanged(ClinicError):
    """The agreement is no longer what was read: read it again before sealing."""

    code = "party.words_changed"


class TermOver(ClinicError):
    """Its last day is past: nobody seals it any more."""

    code = "party.term_over"


class NotYourTurn(ClinicError):
    """This side has sealed already, or the side that drafted it has not yet."""

    code = "party.not_your_turn"
