"""Random secrets and what is kept of them."""

import hashlib
import hmac
import secrets

SECRET_BYTES = 16  # 128 bits: guessing is hopeless even without a limit
_CODE_DIGITS = 6


def _bytes(text: str) -> bytes:
    """Headers and cookies may hold anything: bytes that are no UTF-8 arrive as lone surrogates."""
    return text.encode(errors="surrogatepass")


def mint() -> str:
    """A new URL-safe secret of 128 random bits."""
    return secrets.token_urlsafe(SECRET_BYTES)


def fingerprint(secret: str) -> str:
    """What the database keeps (32 hex digits). A plain hash suffices: the input has 128 bits of entropy."""
    return hashlib.sha256(b"huizhen-secret-v1\x00" + _bytes(secret)).hexdigest()[:32]


def csrf_of(secret: str) -> str:
    """The X-CSRF token of a session: bound to its cookie, kept nowhere."""
    return hmac.new(_bytes(secret), b"huizhen-csrf-v1", hashlib.sha256).hexdigest()[:32]


def mint_code() -> str:
    """A six-digit code to be told by voice."""
    return f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}d}"


def code_fingerprint(link_secret: str, code: str) -> str:
    """Bound to the link's secret, which the database does not have: a stolen database cannot try the million codes."""
    return hmac.new(_bytes(link_secret), b"huizhen-code-v1\x00" + _bytes(code), hashlib.sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Constant-time comparison of any two strings."""
    return hmac.compare_digest(_bytes(left), _bytes(right))
