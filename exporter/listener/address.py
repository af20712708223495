"""Where to listen: the text of a setting, and the sockets it means.

Owns the notation of addresses and the binding; refuses to accept anything.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.errors import ConfigError

BACKLOG_CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    """An address or a name; empty for every interface, IPv4 and IPv6."""
    port: int
    """0 asks the system for a free one."""
    path: str = ""
    """A unix socket's path instead."""

    @classmethod
    def from_text(cls, text: str, setting: str) -> Address:
        """Read ``:9376``, ``127.0.0.1:9376``, ``[::1]:9376`` or ``unix:///run/x.sock``.

        Raises ConfigError that names ``setting`` for anything else.
        """
        if text.startswith("unix://"):
            return cls("", 0, text.removeprefix("unix://"))
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if (
            not colon
            or not (port.isascii() and port.isdecimal())
            or int(port) > 65_535
            or (":" in host and not bracketed)
        ):
            raise ConfigError(
                f"{setting}: expected HOST:PORT, :PORT, [IPv6]:PORT or unix:///PATH to listen on, found {text!r}"
            )
        return cls(host.strip("[]"), int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def bind(address: Address) -> list[socket.socket]:
    """Open every socket that the address means, listening and non-blocking."""
    try:
        if address.path:
            return [_listening(socket.AF_UNIX, address.path)]
        if not address.host:
            return _bind_everywhere(address.port)
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [_listening(found[0][0], found[0][4])]
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {address}: {error.strerror or error}; "
            "choose another address, or stop the program that holds it"
        ) from error


def _bind_everywhere(port: int) -> list[socket.socket]:
    """One socket for IPv6 and IPv4; IPv4 alone where the machine has no IPv6."""
    if socket.has_dualstack_ipv6():
        return [_listening(socket.AF_INET6, ("::", port))]
    return [_listening(socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104 - the setting asks for every interface


def _listening(family: int, where: Any) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_UNIX:
            _remove_stale(where)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(where[0] != "::"))
        opened.bind(where)
        opened.listen(BACKLOG_CONNECTIONS)
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more; whoever listens keeps it."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
