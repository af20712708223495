"""Whom a connection comes from, as far as limits are concerned.

Owns what counts as one peer: an IPv4 address, or the 64 bits of an IPv6
address that one host has to itself.
"""

from __future__ import annotations

import ipaddress
from typing import Any


def peer_of(transport: Any) -> str:
    """Return the peer of an asyncio transport; empty on a unix socket and where the connection is gone."""
    return "" if transport is None else to_peer(transport.get_extra_info("peername"))


def to_peer(name: Any) -> str:
    """Return the peer for a socket's ``getpeername``."""
    if not isinstance(name, tuple):
        return ""
    host = str(name[0])
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
