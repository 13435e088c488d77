"""SRTP in place, and the contract with the pinned pylibsrtp whose private parts `rtc.srtp` names."""

from importlib.metadata import version
from struct import pack_into

import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp._binding import ffi, lib

from rtc.errors import ParseError
from rtc.srtp import TRAILER, SrtpError, SrtpProfile, SrtpSession, SrtpSetupError
from tests.support.rtp_factory import rtp

PROFILES = list(SrtpProfile)
RTCP = bytes.fromhex("80c8000600000001") + bytes(20)


def key(profile: SrtpProfile) -> bytes:
    return bytes(range(profile.key_length + profile.salt_length))


def pair(profile: SrtpProfile) -> tuple[SrtpSession, SrtpSession]:
    return SrtpSession(profile, key(profile), inbound=False), SrtpSession(profile, key(profile), inbound=True)


def buffered(packet: bytes) -> bytearray:
    return bytearray(packet) + bytearray(TRAILER)


def test_contract_with_pylibsrtp() -> None:
    assert version("pylibsrtp") == "1.0.0"
    for name in ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"):
        assert "void *, int *" in str(ffi.typeof(getattr(lib, name)))
    session = pylibsrtp.Session()
    assert ffi.typeof(session._srtp) == ffi.typeof("srtp_t *")
    assert int(lib.srtp_err_status_ok) == 0


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("size", [0, 1, 100, 1400, 1900])
def test_round_trip_in_place(profile: SrtpProfile, size: int) -> None:
    out, back = pair(profile)
    packet = rtp(7, 1, 2, bytes(range(256)) * 8, marker=True)[: 12 + size]
    buffer = buffered(packet)
    length = out.protect_rtp(buffer, len(packet))
    assert length - len(packet) == (16 if profile is SrtpProfile.AEAD_AES_128_GCM else 10)
    assert size < 8 or bytes(buffer[12 : 12 + size]) != packet[12:]
    assert back.unprotect_rtp(buffer, length) == len(packet)
    assert bytes(buffer[: len(packet)]) == packet


@pytest.mark.parametrize("profile", PROFILES)
def test_rtcp_round_trip(profile: SrtpProfile) -> None:
    out, back = pair(profile)
    buffer = buffered(RTCP)
    length = out.protect_rtcp(buffer, len(RTCP))
    assert back.unprotect_rtcp(buffer, length) == len(RTCP)
    assert bytes(buffer[: len(RTCP)]) == RTCP


@pytest.mark.parametrize("profile", PROFILES)
def test_agrees_with_the_public_api(profile: SrtpProfile) -> None:
    numbers = {SrtpProfile.AEAD_AES_128_GCM: 6, SrtpProfile.AES128_CM_SHA1_80: 1}  # RFC 7714, RFC 5764
    policy = pylibsrtp.Policy(
        key(profile), pylibsrtp.Policy.SSRC_ANY_INBOUND, srtp_profile=_lib_profile(profile, numbers[profile])
    )
    packet = rtp(7, 1, 2, b"spoken words")
    buffer = buffered(packet)
    length = pair(profile)[0].protect_rtp(buffer, len(packet))
    assert pylibsrtp.Session(policy).unprotect(bytes(buffer[:length])) == packet


def _lib_profile(profile: SrtpProfile, _number: int) -> int:
    gcm = profile is SrtpProfile.AEAD_AES_128_GCM
    return int(
        pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM if gcm else pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_replay_window_spans_a_thousand_packets(profile: SrtpProfile) -> None:
    out, back = pair(profile)
    sealed = []
    for sequence in range(1, 2600):
        packet = rtp(7, sequence, 0, b"x")
        buffer = buffered(packet)
        sealed.append(bytes(buffer[: out.protect_rtp(buffer, len(packet))]))
    late = {1500, 1024 + 551}
    for i, packet in enumerate(sealed):
        if i not in late and i != 5:
            back.unprotect_rtp(bytearray(packet), len(packet))
    for i in late:
        assert back.unprotect_rtp(bytearray(sealed[i]), len(sealed[i])) == 13
        with pytest.raises(SrtpError, match="replayed"):
            back.unprotect_rtp(bytearray(sealed[i]), len(sealed[i]))
    with pytest.raises(SrtpError, match="too old"):
        back.unprotect_rtp(bytearray(sealed[5]), len(sealed[5]))


@pytest.mark.parametrize("profile", PROFILES)
def test_one_sequence_number_is_protected_once(profile: SrtpProfile) -> None:
    out, _ = pair(profile)
    for body in (b"first", b"other"):
        packet = rtp(7, 9, 0, body)
        if body == b"first":
            out.protect_rtp(buffered(packet), len(packet))
        else:
            with pytest.raises(SrtpError, match="replayed"):
                out.protect_rtp(buffered(packet), len(packet))


def test_recovered_packets_may_be_sent_late_and_rollover_is_followed() -> None:
    out, back = pair(SrtpProfile.AEAD_AES_128_GCM)
    for sequence in [*range(65_000, 65_400), *range(65_401, 65_536), *range(300), 65_400]:
        packet = rtp(7, sequence, 0, b"x")
        buffer = buffered(packet)
        assert back.unprotect_rtp(buffer, out.protect_rtp(buffer, len(packet))) == len(packet)


@pytest.mark.parametrize("profile", PROFILES)
def test_forgery_is_refused(profile: SrtpProfile) -> None:
    out, back = pair(profile)
    packet = rtp(7, 1, 2, b"true words")
    buffer = buffered(packet)
    length = out.protect_rtp(buffer, len(packet))
    for at in (1, 5, 13, length - 1):
        forged = bytearray(buffer)
        forged[at] ^= 1
        with pytest.raises(SrtpError):
            back.unprotect_rtp(forged, length)
    assert back.unprotect_rtp(buffer, length) == len(packet)


def test_key_material_and_room_are_checked() -> None:
    with pytest.raises(SrtpSetupError):
        SrtpSession(SrtpProfile.AEAD_AES_128_GCM, bytes(30), inbound=True)
    out, back = pair(SrtpProfile.AES128_CM_SHA1_80)
    packet = rtp(7, 1, 2, b"x")
    with pytest.raises(SrtpError):
        out.protect_rtp(bytearray(packet), len(packet))
    with pytest.raises(SrtpError):
        back.unprotect_rtp(bytearray(5), 5)
    with pytest.raises(SrtpError):
        back.unprotect_rtp(bytearray(20), 40)


@given(st.binary(max_size=200), st.booleans())
def test_garbage_raises_only_parse_errors(data: bytes, control: bool) -> None:
    for profile in PROFILES:
        back = SrtpSession(profile, key(profile), inbound=True)
        with pytest.raises(ParseError):
            (back.unprotect_rtcp if control else back.unprotect_rtp)(bytearray(data), len(data))


def test_the_buffer_may_be_resized_afterwards() -> None:
    out, _ = pair(SrtpProfile.AEAD_AES_128_GCM)
    buffer = buffered(rtp(7, 1, 2, b"x"))
    out.protect_rtp(buffer, 13)
    pack_into("!H", buffer, 2, 2)
    buffer.extend(b"more")  # BufferError if a view were kept
