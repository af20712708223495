"""Why a Falco gRPC server cannot be reached, and what to do about it.

Owns the translation of socket and gRPC failures into one sentence that
an operator can act on, and ``diagnose``, which tries a target step by step.
Never asks for alerts: a client that asks takes them away from the others.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc

from exporter.config.model import FalcoTarget
from exporter.errors import RetryableError
from exporter.sources.falco_grpc_channel import ask_version, open_channel
from exporter.sources.falco_grpc_tls import NO_GRPC_SINCE, find_tcp_error

CONNECT_TIMEOUT_SECONDS = 5.0
SHARED_QUEUE = (
    "Falco keeps one queue for all its gRPC clients and gives each alert to one of them: a second consumer, such as "
    "an old falco-exporter, takes alerts away without a trace and cannot be seen from here; let this exporter be the "
    "only one, and let others read from it"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a diagnosis."""

    level: str
    """``ok``, ``note`` (works, but know this) or ``error`` (does not work, with what to do)."""
    text: str


def diagnose(target: FalcoTarget) -> list[Finding]:
    """Try the target step by step, up to ``version``; takes no alerts. Ends with the first error."""
    error = find_socket_error(target) or find_tcp_error(target)
    if error is not None:
        return [Finding("error", error)]
    try:
        with closing(open_channel(target)) as channel:
            version = ask_version(channel)
    except (grpc.RpcError, RetryableError) as exc:
        return [Finding("error", explain(target, exc))]
    return [
        Finding("ok", f"Falco {version.version} (engine {version.engine_version}) answers at {target.address}"),
        Finding(
            "note",
            "alerts come only where falco.yaml also has `grpc_output: {enabled: true}`, which cannot be seen from here",
        ),
        Finding("note", SHARED_QUEUE),
    ]


def find_socket_path(target: FalcoTarget) -> Path | None:
    """Return the path of a ``unix:`` address, None for another."""
    if not target.address.startswith("unix:"):
        return None
    return Path(target.address.removeprefix("unix:").removeprefix("//"))


def find_socket_error(target: FalcoTarget) -> str | None:
    """Say why a unix socket takes no connection; None where it does, or where the target is none.

    Connects and closes at once, which costs Falco and us some 50 µs.
    """
    path = find_socket_path(target)
    if path is None:
        return None
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(CONNECT_TIMEOUT_SECONDS)
        try:
            probe.connect(str(path))
        except OSError as exc:
            return _explain_socket(path, exc)
    return None


def takes_connections(target: FalcoTarget) -> bool:
    """Say whether the target's port takes a connection; True for a unix socket, which is looked at elsewhere."""
    if find_socket_path(target) is not None:
        return True
    host, _, port = target.address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_SECONDS):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _explain_socket(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return (
            f"there is no socket {path}: start Falco with `grpc: {{enabled: true, bind_address: 'unix://{path}'}}` "
            f"and `grpc_output: {{enabled: true}}` in falco.yaml, or correct the target's address; "
            f"in a container, mount the socket's directory. {NO_GRPC_SINCE}"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return (
            f"no permission to connect to {path}{_describe_owner(path)}, and the exporter runs as uid {os.geteuid()}: "
            "Falco lets only its own user write to its socket, so run the exporter as that user (0, root, as a rule)"
        )
    if error.errno == errno.ECONNREFUSED:
        if not _is_socket(path):
            return f"{path} is not a socket: expected Falco's gRPC socket; correct the target's address"
        return (
            f"nothing listens on the socket {path}: Falco was killed and left it behind; start Falco again, "
            f"it takes the socket over. {NO_GRPC_SINCE}"
        )
    return f"cannot connect to the socket {path}: {error.strerror or error}"


def _describe_owner(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return " (nor to look into its directory)"
    return f" (owned by uid {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o})"


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def explain(target: FalcoTarget, error: Exception, *, silent: bool = False) -> str:
    """Say in one sentence what a failed call means and what to do.

    ``silent``: the call was cancelled by us because nothing came for too long.
    """
    if not isinstance(error, grpc.RpcError):
        return str(error)
    if silent:
        return (
            f"{target.address} takes our calls but does not answer: Falco hangs, or other clients use up "
            "its limit of concurrent calls (10 times `grpc.threadiness`); close them, or look into Falco's log"
        )
    # Every RpcError that a call raises is the call itself, which grpc's types do not say.
    call = cast("grpc.Call", error)
    return _explain_status(target, call.code(), call.details() or "")


def _explain_status(target: FalcoTarget, code: grpc.StatusCode, details: str) -> str:
    if code is grpc.StatusCode.UNAVAILABLE:
        known = find_socket_error(target) or find_tcp_error(target)
        return known or f"Falco closed the connection to {target.address}: it is stopping or was killed ({details})"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return (
            f"a gRPC server answers at {target.address}, but it is not Falco's ({details}): correct the target's "
            f"address. {NO_GRPC_SINCE}"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return (
            f"{target.address} takes connections but did not answer in time: Falco hangs or is stopping; "
            "look into its log, and restart it if this persists"
        )
    return f"the call to {target.address} failed with {code.name}: {details}"
