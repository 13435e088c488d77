"""Which addresses clients are told to try: what the operator announces, or what this machine has."""

import ipaddress
import re
from collections.abc import Sequence

import ifaddr

from rtc.answertext import Candidate
from rtc.errors import MediaError

MAX_ADDRESSES = 8  # each costs every client a pair of checks
_HEX6 = r"[0-9A-Fa-f:.]+"
_ANNOUNCE = re.compile(rf"(?:(udp|tcp):)?(?:(?:\[({_HEX6})\]|([0-9.]+))(?::(\d{{1,5}}))?|({_HEX6}))\Z")


class BadAddress(MediaError):
    """An announced address that can not be read."""

    code = "media.bad_address"


def announced(entries: Sequence[str], port: int, *, tcp: bool) -> tuple[Candidate, ...]:
    """Candidates for "ip", "ip:port", "[ip6]:port", each optionally after "udp:" or "tcp:". Raises BadAddress."""
    found: list[Candidate] = []
    for entry in entries:
        match = _ANNOUNCE.match(entry.strip())
        if match is None:
            raise BadAddress(entry)
        protocol, bracketed, four, number, six = match.groups()
        try:
            host = str(ipaddress.ip_address(bracketed or four or six))
        except ValueError:
            raise BadAddress(entry) from None
        if int(number or port) > 65535:
            raise BadAddress(entry)
        protocols = (protocol,) if protocol else ("udp", "tcp") if tcp else ("udp",)
        found += [Candidate(p, host, int(number or port)) for p in protocols]
    return _udp_first(found)


def local(hosts: Sequence[str], port: int, *, tcp: bool) -> tuple[Candidate, ...]:
    """Candidates for the bound hosts; a wildcard stands for every interface. Loopback only if there is nothing else."""
    addresses: list[str] = []
    for host in hosts:
        bound = ipaddress.ip_address(host)
        addresses += _interfaces(bound.version) if bound.is_unspecified else [str(bound)]
    outside = [a for a in addresses if not ipaddress.ip_address(a).is_loopback]
    chosen = list(dict.fromkeys(outside or addresses))[:MAX_ADDRESSES]
    protocols = ("udp", "tcp") if tcp else ("udp",)
    return _udp_first([Candidate(p, a, port) for a in chosen for p in protocols])


def _udp_first(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda c: c.protocol != "udp"))


def _interfaces(version: int) -> list[str]:
    found = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text)
            if address.version == version and not address.is_link_local:
                found.append(text)
    return found
