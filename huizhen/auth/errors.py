"""Errors of the doors. Codes are stable; wording lives in huizhen/reasons."""


class AuthError(Exception):
    """Base; `status` is the HTTP status that belongs to the code."""

    code = "auth.error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class LoginRefused(AuthError):
    """Unknown login, wrong password or disabled account: one answer for all three."""

    code = "login.refused"


class TooManyAttempts(AuthError):
    """Too many failures from this source or on this account; wait a minute."""

    code = "rate.limited"


class SessionRequired(AuthError):
    """No session, or it ended (idle, too old, logged out, account disabled)."""

    code = "session.required"


class CsrfInvalid(AuthError):
    """The X-CSRF header does not belong to the session cookie, or the request came from a foreign page."""

    code = "csrf.invalid"


class StepUpRequired(AuthError):
    """The act needs the password again, at most a few minutes ago."""

    code = "step_up.required"


class StepUpRefused(AuthError):
    code = "step_up.refused"


class PasswordTooWeak(AuthError):
    code = "password.too_weak"


class LoginTaken(AuthError):
    """Logins are unique on this server."""

    code = "login.taken"


class LinkUnknown(AuthError):
    """No such link, or it was revoked. Guessing learns nothing from the difference."""

    code = "link.unknown"


class LinkExpired(AuthError):
    code = "link.expired"


class LinkLocked(AuthError):
    """Too many wrong second factors: the clinic has to send a new link."""

    code = "link.locked"


class SecondFactorRequired(AuthError):
    """The link was opened on another device before. `ask` says what to enter: "id_last4" or "code"."""

    code = "link.second_factor"

    def __init__(self, ask: str) -> None:
        super().__init__(ask)
        self.ask = ask
