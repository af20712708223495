"""Facts about places: addresses, directories, files, containers.

Owns what counts as public, as world-writable and as hidden.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from exporter.kept import Made
from exporter.prose import Lookup

_ENDPOINT = re.compile(r"(?:\[?)([0-9a-fA-F.:]+?)\]?:(\d+)\Z")
_PRIVATE = tuple(
    (network.version, int(network.network_address), int(network.broadcast_address))
    for network in map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "0.0.0.0/32", "::/128",
            "224.0.0.0/4", "ff00::/8",
        ),
    )
)  # fmt: skip
"""IP version, first and last address as numbers."""
_KEPT_ADDRESSES = 1_024
_KEPT_CHARACTERS = 45
"""The longest notation of an address."""
_METADATA = frozenset({"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "100.100.100.200"})
_TOOL_DIRECTORIES = (
    ".ansible", ".asdf", ".atlantis", ".bun", ".cache", ".cargo", ".composer", ".config", ".cursor-server", ".deno",
    ".docker", ".dotnet", ".gem", ".git", ".gradle", ".helm", ".jenkins", ".krew", ".kube", ".local", ".m2",
    ".npm", ".nvm", ".oh-my-zsh", ".pnpm", ".pnpm-store", ".pulumi", ".pyenv", ".rbenv", ".rustup", ".sdkman",
    ".terraform", ".terraform.d", ".tfenv", ".tox", ".venv", ".virtualenvs", ".vscode", ".vscode-server", ".yarn",
    ".bin", ".gitlab-runner", ".nix-profile", ".steampipe", ".java", ".android", ".ivy2", ".sbt", ".pub-cache",
)  # fmt: skip
_HIDDEN = re.compile(r"/\.(?!\.?/)([^/]+)")
_SYSTEM = (
    "/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/lib/", "/usr/libexec/", "/lib/", "/lib64/", "/usr/lib64/",
    "/nix/store/", "/snap/",
)  # fmt: skip


def address_kind(text: str) -> str | None:
    """Return ``public``, ``private``, ``loopback``, ``link-local`` or ``metadata``; None for what is no address.

    Networks set aside for documentation count as public: they stand for
    public ones wherever they appear.
    """
    return _ADDRESS_KINDS[text]


def _find_address_kind(text: str) -> str | None:
    if text in _METADATA:
        return "metadata"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    version, number = address.version, int(address)
    is_private = any(first <= number <= last for kind, first, last in _PRIVATE if kind == version)
    return "private" if is_private else "public"


_ADDRESS_KINDS = Made(_find_address_kind, _KEPT_ADDRESSES, _KEPT_CHARACTERS)


def _peer(lookup: Lookup) -> tuple[str, str] | None:
    """The other end of a connection: address and port."""
    name, remote = lookup("fd.name"), lookup("fd.rport")
    if name is None or "->" not in name:
        address = lookup("fd.rip") or lookup("fd.sip")
        return None if address is None else (address, remote or "")
    ends = [match.groups() for part in name.split("->", 1) if (match := _ENDPOINT.match(part))]
    if len(ends) != 2:
        return None
    client, server = ends
    local = lookup("fd.lport")
    if (remote is not None and client[1] == remote != server[1]) or (remote is None and server[1] == local):
        return client[0], client[1]
    return server[0], server[1]


def peer_address(lookup: Lookup) -> str | None:
    """Return the other end's address."""
    peer = _peer(lookup)
    return peer[0] if peer else None


def peer_port(lookup: Lookup) -> str | None:
    """Return the other end's port."""
    peer = _peer(lookup)
    return (peer[1] or None) if peer else None


def peer_kind(lookup: Lookup) -> str | None:
    """Return what kind of address the other end has; ``none`` where the alert is about no connection."""
    address = lookup("peer.ip")
    return "none" if address is None else address_kind(address)


def path_kind(path: str) -> str:
    """Return what kind of place a path lies in.

    ``memory``, ``shm``, ``tmp-hidden``, ``tmp``, ``system``, ``local``,
    ``opt``, ``web``, ``hidden`` (a directory that begins with a dot and is no
    well-known tool's), ``home``, ``other``.
    """
    if _MEMORY.match(path):
        return "memory"
    for kind, starts in _WRITABLE:
        if path.startswith(starts):
            return "tmp-hidden" if kind == "tmp" and _HIDDEN.search(path) else kind
    if any(f".{part}" not in _TOOL_DIRECTORIES for part in _HIDDEN.findall(path)):
        return "hidden"
    return next((kind for kind, starts in _PLACES if path.startswith(starts)), "other")


_MEMORY = re.compile(r"/?memfd:|/(?:proc/(?:self|\d+)|dev)/fd/")
_WRITABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tmp", ("/tmp/", "/var/tmp/", "/dev/mqueue/")),  # noqa: S108 - what attackers use
    ("shm", ("/dev/", "/run/shm/")),
)
_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("system", _SYSTEM),
    ("local", ("/usr/local/",)),
    ("opt", ("/opt/",)),
    ("web", ("/var/www/", "/srv/www/", "/usr/share/nginx/", "/usr/local/apache2/htdocs/")),
    ("home", ("/home/", "/root/")),
)


def exe_kind(lookup: Lookup) -> str | None:
    """Return what kind of place the executable lies in."""
    path = lookup("proc.exepath")
    return None if path is None else path_kind(path)


def exe_age_seconds(lookup: Lookup) -> str | None:
    """Return the seconds between the executable's last change and the process' start, a whole number."""
    text = lookup("proc.exe_ino.ctime_duration_proc_start")
    if text is None or not text.isdigit():
        return None
    return str(int(text) // 1_000_000_000)


def exe_in_image(lookup: Lookup) -> str | None:
    """Return ``yes`` or ``no``: whether the executable comes from the container's image, by Falco's flags."""
    flags = lookup("evt.arg.flags")
    if flags is None or lookup("where.kind") != "container":
        return None
    if "EXE_UPPER_LAYER" in flags:
        return "no"
    return "yes" if "EXE_LOWER_LAYER" in flags else None


_OBJECTS = ("evt.arg.newpath", "evt.arg.linkpath", "evt.arg.path", "evt.arg.name", "evt.arg.filename")


def object_path(lookup: Lookup) -> str | None:
    """Return the file that the alert is about."""
    name = lookup("fd.name")
    if name is not None and name.startswith("/"):
        return name
    for field in _OBJECTS:
        value = lookup(field)
        if value is not None and value.startswith("/"):
            return value
    return None


def object_kind(lookup: Lookup) -> str | None:
    """Return what kind of place that file lies in; ``none`` where the alert is about no file."""
    path = lookup("object.path")
    return "none" if path is None else path_kind(path)


def where_kind(lookup: Lookup) -> str | None:
    """Return ``container`` or ``host`` for system calls; None where the alert does not say."""
    if lookup("container.id") is not None or lookup("k8s.pod.name") is not None:
        return "container"
    return "host" if lookup("alert.on_host") == "yes" else None


FACTS: Mapping[str, tuple[Callable[[Lookup], str | None], tuple[str, ...]]] = {
    "peer.ip": (peer_address, ("fd.name", "fd.rip", "fd.sip", "fd.rport", "fd.lport")),
    "peer.port": (peer_port, ("fd.name", "fd.rip", "fd.sip", "fd.rport", "fd.lport")),
    "peer.kind": (peer_kind, ("fd.name", "fd.rip", "fd.sip", "fd.rport", "fd.lport")),
    "exe.kind": (exe_kind, ("proc.exepath",)),
    "exe.age.seconds": (exe_age_seconds, ("proc.exe_ino.ctime_duration_proc_start",)),
    "exe.of.image": (exe_in_image, ("evt.arg.flags", "container.id", "k8s.pod.name")),
    "object.path": (object_path, ("fd.name", *_OBJECTS)),
    "object.kind": (object_kind, ("fd.name", *_OBJECTS)),
    "where.kind": (where_kind, ("container.id", "k8s.pod.name")),
}
