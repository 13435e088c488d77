"""SRTP and SRTCP in place: libsrtp called through pylibsrtp's cffi handle, without its copies and its 1356-byte limit.

This is the one module that names pylibsrtp's private parts (`_binding.ffi`, `_binding.lib`, `Session._srtp`); the
version is pinned and `tests/rtc/test_srtp.py` is the contract test. A session is not thread-safe.
"""

from enum import Enum
from typing import Any

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from rtc.errors import MediaError, ParseError

TRAILER = 32
"""Bytes a buffer must have free behind the packet: tag (16) + SRTCP index (4), rounded up."""

_INBOUND_WINDOW = 2048  # packets; a retransmission may be a second late, and 1024 is the floor we promise
_OUTBOUND_WINDOW = 1024  # packets recovered upstream are forwarded late, under an older sequence number
_MIN_RTP = 12
_MIN_RTCP = 8

_FAILURES = {7: "authentication failed", 9: "replayed", 10: "too old", 13: "no context", 21: "malformed", 26: "too old"}


class SrtpError(ParseError):
    """A packet that failed authentication or replay protection, or that libsrtp refused to protect."""

    code = "media.srtp_refused"


class SrtpSetupError(MediaError):
    """Key material of the wrong length, or a profile this build of libsrtp does not know."""

    code = "media.srtp_setup"


class SrtpProfile(Enum):
    """Protection profiles by their OpenSSL names. GCM is preferred: it is the cheapest per packet."""

    AEAD_AES_128_GCM = "SRTP_AEAD_AES_128_GCM"
    AES128_CM_SHA1_80 = "SRTP_AES128_CM_SHA1_80"

    @property
    def key_length(self) -> int:
        return 16

    @property
    def salt_length(self) -> int:
        return 12 if self is SrtpProfile.AEAD_AES_128_GCM else 14


_LIBSRTP_PROFILE = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


class SrtpSession:
    """One direction of one transport; every SSRC of that direction gets its own stream state inside libsrtp.

    `key_and_salt` is the master key followed by the master salt (RFC 5764 section 4.2): 28 bytes for GCM, 30 for CM.
    """

    __slots__ = ("_handle", "_length", "_protect", "_protect_rtcp", "_session", "_unprotect", "_unprotect_rtcp")

    def __init__(self, profile: SrtpProfile, key_and_salt: bytes, *, inbound: bool) -> None:
        wanted = profile.key_length + profile.salt_length
        if len(key_and_salt) != wanted:
            raise SrtpSetupError(f"{profile.value} wants {wanted} bytes of key material, got {len(key_and_salt)}")
        policy = Policy(
            key=bytes(key_and_salt),
            ssrc_type=Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=_LIBSRTP_PROFILE[profile],
        )
        # allow_repeat_tx stays off: a second packet under one (SSRC, ROC, seq) must fail loudly, not leak a keystream.
        policy.window_size = _INBOUND_WINDOW if inbound else _OUTBOUND_WINDOW
        self._session = Session(policy)  # owns the libsrtp context and frees it
        self._handle: Any = self._session._srtp[0]
        self._length: Any = ffi.new("int *")
        self._protect: Any = lib.srtp_protect
        self._protect_rtcp: Any = lib.srtp_protect_rtcp
        self._unprotect: Any = lib.srtp_unprotect
        self._unprotect_rtcp: Any = lib.srtp_unprotect_rtcp

    def protect_rtp(self, buffer: bytearray, length: int) -> int:
        """Encrypt the first `length` bytes of `buffer` in place; the new length. Needs `TRAILER` bytes of room."""
        if length + TRAILER > len(buffer) or length < _MIN_RTP:
            raise SrtpError("buffer too small")
        size = self._length
        size[0] = length
        status = self._protect(self._handle, ffi.from_buffer(buffer), size)
        if status:
            raise SrtpError(_reason(status))
        return int(size[0])

    def protect_rtcp(self, buffer: bytearray, length: int) -> int:
        """The same for a compound RTCP packet."""
        if length + TRAILER > len(buffer) or length < _MIN_RTCP:
            raise SrtpError("buffer too small")
        size = self._length
        size[0] = length
        status = self._protect_rtcp(self._handle, ffi.from_buffer(buffer), size)
        if status:
            raise SrtpError(_reason(status))
        return int(size[0])

    def unprotect_rtp(self, buffer: bytearray, length: int) -> int:
        """Authenticate and decrypt in place; the plaintext length. SrtpError: forged, replayed or too old."""
        if not _MIN_RTP <= length <= len(buffer):
            raise SrtpError("short packet")
        size = self._length
        size[0] = length
        status = self._unprotect(self._handle, ffi.from_buffer(buffer), size)
        if status:
            raise SrtpError(_reason(status))
        return int(size[0])

    def unprotect_rtcp(self, buffer: bytearray, length: int) -> int:
        """The same for SRTCP."""
        if not _MIN_RTCP <= length <= len(buffer):
            raise SrtpError("short packet")
        size = self._length
        size[0] = length
        status = self._unprotect_rtcp(self._handle, ffi.from_buffer(buffer), size)
        if status:
            raise SrtpError(_reason(status))
        return int(size[0])


def _reason(status: int) -> str:
    return _FAILURES.get(status, f"libsrtp status {status}")
