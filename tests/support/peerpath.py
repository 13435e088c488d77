"""The network half of the test peer: controlling ICE checks, DTLS and SRTP over a real UDP or TCP socket."""

import asyncio
import contextlib
import secrets
import struct
import time
from collections.abc import Callable
from typing import Any

from pylibsrtp import Error as SrtpFailure
from pylibsrtp import Policy, Session

from rtc import stun
from rtc.aiortc_seam import Certificate, DtlsFailed, DtlsRole, DtlsSession, SrtpKeys
from rtc.icelite import Credentials
from rtc.sdp import Fingerprint
from rtc.srtp import SrtpProfile
from rtc.tcpframing import FrameReader, frame

CHECK_SECONDS = 0.05
KEEPALIVE_SECONDS = 2.0
_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._deliver(data)

    def error_received(self, exc: Exception) -> None:
        """ICMP: the server's port is closed. A test sees it as silence."""

    def send(self, data: bytes) -> None:
        self._transport.sendto(data)

    def close(self) -> None:
        self._transport.close()

    @property
    def local_address(self) -> Any:
        return self._transport.get_extra_info("sockname")


class _Tcp(asyncio.Protocol):
    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._reader = FrameReader()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for packet in self._reader.feed(data):
            self._deliver(bytes(packet))

    def send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame(data))

    def close(self) -> None:
        self._transport.close()

    @property
    def local_address(self) -> Any:
        return self._transport.get_extra_info("sockname")


class PeerPath:
    """ICE controlling agent + DTLS + SRTP. `deliver(packet, is_rtcp)` gets plaintext.

    `closed` is set when the other side said goodbye (close_notify) or the handshake failed (`failure`).
    """

    def __init__(self, certificate: Certificate, deliver: Callable[[bytes, bool], None]) -> None:
        self.certificate = certificate
        self.local = Credentials.random()
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.failure: DtlsFailed | None = None
        self.profile: SrtpProfile | None = None
        self.times: dict[str, float] = {}
        self.muted = False  # stops every check and packet: a dead network
        self.nominate = True
        self.checks_answered = 0
        self.undecryptable = 0
        self._deliver = deliver
        self._wire: _Udp | _Tcp | None = None
        self._old_wires: list[_Udp | _Tcp] = []
        self._remote = Credentials("", "")
        self._tie_breaker = secrets.randbits(63)
        self._waiting: set[bytes] = set()
        self._dtls: DtlsSession | None = None
        self._in: Session | None = None
        self._out: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._reachable = False

    async def open(self, address: tuple[str, int], *, tcp: bool) -> None:
        """Connect a socket to the server's candidate. A second call moves to a new local address (roaming)."""
        loop = asyncio.get_running_loop()
        if self._wire is not None:
            self._old_wires.append(self._wire)
            self._reachable = False
        if tcp:
            _, self._wire = await loop.create_connection(lambda: _Tcp(self._packet), *address)
        else:
            _, self._wire = await loop.create_datagram_endpoint(lambda: _Udp(self._packet), remote_addr=address)

    @property
    def local_address(self) -> Any:
        assert self._wire is not None
        return self._wire.local_address

    def start(self, remote: Credentials, fingerprints: tuple[Fingerprint, ...], role: DtlsRole) -> None:
        """Begin checking; DTLS follows the first answer."""
        self._remote = remote
        self.times["start"] = time.perf_counter()
        self._dtls = DtlsSession(
            self.certificate, role, fingerprints, send=self.send_raw, on_keys=self._keys, on_end=self._ended
        )
        self._task = asyncio.get_running_loop().create_task(self._check_forever())

    def restart(self, remote: Credentials) -> None:
        """The server's credentials after an ICE restart."""
        self._remote = remote
        self.checks_answered = 0

    async def _check_forever(self) -> None:
        while True:
            self.check()
            if self._dtls is not None and self._dtls.started:
                self._dtls.tick(time.monotonic_ns())
            await asyncio.sleep(KEEPALIVE_SECONDS if self.connected.is_set() and self._reachable else CHECK_SECONDS)

    def check(self) -> None:
        """Send one authenticated binding request now."""
        transaction = secrets.token_bytes(12)
        self._waiting.add(transaction)
        name = f"{self._remote.ufrag}:{self.local.ufrag}"
        key = self._remote.pwd.encode()
        self.send_raw(
            stun.binding_request(
                transaction, name, key, tie_breaker=self._tie_breaker, priority=1853824767, nominate=self.nominate
            )
        )

    def send_raw(self, data: bytes) -> None:
        if self._wire is not None and not self.muted:
            self._wire.send(data)

    def _packet(self, data: bytes) -> None:
        if not data or self.muted:
            return
        if data[0] < 4:
            self._stun(data)
        elif 19 < data[0] < 64:
            if self._dtls is not None:
                self._dtls.start()
                self._dtls.feed(data)
        elif self._in is not None:
            self._media(data)

    def _stun(self, data: bytes) -> None:
        kind, _, _, transaction = struct.unpack_from("!HHI12s", data)
        if kind == stun.MessageType.BINDING_SUCCESS and transaction in self._waiting:
            self._waiting.discard(transaction)
            self.checks_answered += 1
            self._reachable = True
            if "ice" not in self.times:
                self.times["ice"] = time.perf_counter()
            if self._dtls is not None and self._dtls.role is DtlsRole.CLIENT:
                self._dtls.start()

    def _media(self, data: bytes) -> None:
        assert self._in is not None
        is_rtcp = 192 <= data[1] <= 223
        try:
            plain = self._in.unprotect_rtcp(data) if is_rtcp else self._in.unprotect(data)
        except SrtpFailure:
            self.undecryptable += 1
            return
        self._deliver(plain, is_rtcp)

    def _keys(self, keys: SrtpKeys) -> None:
        self.profile = keys.profile
        policies = []
        for key, kind in ((keys.inbound, Policy.SSRC_ANY_INBOUND), (keys.outbound, Policy.SSRC_ANY_OUTBOUND)):
            policy = Policy(key=key, ssrc_type=kind, srtp_profile=_PROFILES[keys.profile])
            policy.window_size = 2048
            policies.append(policy)
        self._in, self._out = Session(policies[0]), Session(policies[1])
        self.times["dtls"] = time.perf_counter()
        self.connected.set()

    def _ended(self, failure: DtlsFailed | None) -> None:
        self.failure = failure
        self.closed.set()

    def send(self, packet: bytes, *, rtcp: bool = False) -> None:
        """Protect and send one RTP or RTCP packet (dropped before the keys exist)."""
        if self._out is not None:
            self.send_raw(self.protect(packet, rtcp=rtcp))

    def protect(self, packet: bytes, *, rtcp: bool = False) -> bytes:
        """The SRTP packet, for tests that replay or forge."""
        assert self._out is not None
        return bytes(self._out.protect_rtcp(packet) if rtcp else self._out.protect(packet))

    async def close(self, *, farewell: bool = True) -> None:
        """Stop; with `farewell` the server is told by close_notify."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if not farewell:
            self.muted = True
        if self._dtls is not None:
            self._dtls.close()
        await asyncio.sleep(0)
        for wire in (*self._old_wires, self._wire):
            if wire is not None:
                wire.close()
