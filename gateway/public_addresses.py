"""Which addresses of the network may be connected to: whoever configured one must not reach into ours (SSRF)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any


class PrivateAddressError(OSError):
    """The address that was about to be connected to is not public."""


def open_any(address: Any) -> socket.socket:
    """A socket for an address as `getaddrinfo` gives it, whatever it is."""
    family, kind, protocol, _, _ = address
    return socket.socket(family, kind, protocol)


def open_if_public(address: Any) -> socket.socket:
    """A socket for an address as `getaddrinfo` gives it. Raises `PrivateAddressError` unless it is public, to wherever it may lead."""
    ip = ipaddress.ip_address(address[4][0].partition("%")[0])
    if not all(one.is_global and not one.is_multicast for one in _meant(ip)):
        raise PrivateAddressError(f"{ip} is not public")
    return open_any(address)


# Prefixes of IPv6 that carry an IPv4 address in their last 32 bits: NAT64 (RFC 6052) and the old compatible form (RFC 4291 2.5.5.1).
_CARRIERS = tuple(ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b::/96", "::/96"))
# Never public, though the standard library does not say so: local NAT64 (RFC 8215) and the old site-local form (RFC 3879).
_NEVER = tuple(ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b:1::/48", "fec0::/10"))


def _meant(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Every address that a packet to this one may end at."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if any(ip in network for network in _NEVER):
        return [ipaddress.IPv4Address(0)]
    inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if inner is None and any(ip in network for network in _CARRIERS):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if inner is not None:
        return [inner]
    return [ip]


def forbidden(error: BaseException) -> bool:
    """Whether an error comes of an address that is not public, however deep a library has wrapped it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, PrivateAddressError) or isinstance(getattr(seen, "os_error", None), PrivateAddressError):
            return True
        if isinstance(seen, BaseExceptionGroup) and any(forbidden(part) for part in seen.exceptions):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def listens(host: str, port: int, allowed: Collection[str]) -> bool:
    """Whether somebody listens there; sends nothing, and looks nowhere that may not be connected to. `allowed`: hosts, in small letters."""
    open_socket = open_any if host.lower() in allowed else open_if_public
    try:
        for address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with open_socket(address) as probe:
                probe.settimeout(1)
                if probe.connect_ex(address[4]) == 0:
                    return True
    except (OSError, ValueError):
        return False
    return False
