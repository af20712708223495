"""Where to listen: the text of a setting, and the sockets it means.

Owns the notation of addresses and the binding; refuses to accept anything.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exporter.errors import ConfigError

BACKLOG_CONNECTIONS = 128
_HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<name>[\w.-]*)):(?P<port>[0-9]{1,5})\Z", re.ASCII)
_PORT_LIMIT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    """An address or a name; empty for every interface, IPv4 and IPv6."""
    port: int
    """0 asks the system for a free one."""
    path: str = ""
    """A unix socket's path instead."""
    setting: str = field(default="", compare=False)
    """Where it was set, for complaints; empty where nothing says."""

    @classmethod
    def from_text(cls, text: str, setting: str) -> Address:
        """Read ``:9376``, ``127.0.0.1:9376``, ``[::1]:9376`` or ``unix:///run/x.sock``.

        ``unix:/run/x.sock`` is the same, as for gRPC. Raises ConfigError that names ``setting`` for anything else.
        """
        address = _from_unix(text) if text.startswith("unix:") else _from_host_and_port(text)
        if address is None:
            raise ConfigError(
                f"{setting}: found {text!r}, expected HOST:PORT, :PORT, [IPv6]:PORT or unix:///PATH, with a "
                f"port up to {_PORT_LIMIT}"
            )
        return replace(address, setting=setting)

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

    def clashes_with(self, other: Address) -> bool:
        """Whether both cannot be listened on at the same time, as far as their text tells."""
        if self.path or other.path:
            return self.path == other.path
        everywhere = {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not listened on
        return self.port == other.port != 0 and (self.host == other.host or bool({self.host, other.host} & everywhere))


def _from_unix(text: str) -> Address | None:
    path = text.removeprefix("unix:")
    path = path.removeprefix("//") if path.startswith("//") else path
    return Address("", 0, path) if path.startswith("/") and path.isprintable() else None


def _from_host_and_port(text: str) -> Address | None:
    match = _HOST_PORT.match(text)
    if match is None or int(match["port"]) > _PORT_LIMIT:
        return None
    if match["ipv6"] is None:
        return Address(match["name"], int(match["port"]))
    try:
        ipaddress.IPv6Address(match["ipv6"])
    except ValueError:
        return None
    return Address(match["ipv6"], int(match["port"]))


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
        where = f"{address.setting}: " if address.setting else ""
        raise ConfigError(
            f"{where}cannot listen on {address}: {error.strerror or error}; {_what_to_do(error, address)}"
        ) from error


def _what_to_do(error: OSError, address: Address) -> str:
    """Return what helps against this error of bind(2) or getaddrinfo(3)."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"expected an address of this machine (`ip address` lists them), or :{address.port} for all of them"
    if error.errno == errno.EADDRINUSE:
        holder = address.path or f"'sport = :{address.port}'"
        shown = f"ss -lxp src {holder}" if address.path else f"ss -ltnp {holder}"
        return f"choose another address, or stop the program that holds it (`{shown}` names it)"
    if address.path:
        return f"expected a directory that exists and in which uid {os.geteuid()} may write"
    if isinstance(error, PermissionError):
        return "choose a port above 1023, or give this program CAP_NET_BIND_SERVICE"
    return "choose another address"


def _bind_everywhere(port: int) -> list[socket.socket]:
    """One socket for IPv6 and IPv4; only IPv4 where the machine has no IPv6."""
    if socket.has_dualstack_ipv6():
        return [_listening(socket.AF_INET6, ("::", port))]
    return [_listening(socket.AF_INET, ("0.0.0.0", port))]  # noqa: S104 - the setting asks for every interface


def _listening(family: int, where: Any) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_UNIX:
            _remove_stale(where)
            # Before bind: from its first moment, only this process's user may connect (unix(7), Linux).
            os.fchmod(opened.fileno(), 0o600)
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
    """Remove a socket that nobody listens on any more; a live listener keeps it."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
