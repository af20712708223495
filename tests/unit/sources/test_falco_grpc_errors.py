"""What a failure means and what to do: from the error alone, without a server."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from exporter._proto import falco_version_pb2
from exporter.config.model import FalcoTarget
from exporter.errors import RetryableError
from exporter.sources import falco_grpc_errors as module
from exporter.sources.falco_grpc_errors import (
    diagnose,
    explain,
    find_socket_error,
    find_socket_path,
    takes_connections,
)


class Failed(grpc.RpcError):
    """A call that failed."""

    def __init__(self, code: grpc.StatusCode, details: str | None = "as told") -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FalcoTarget]:
    """A socket in the working directory that takes connections and says nothing."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        server.listen()
        yield FalcoTarget("unix:s", "mine")


@pytest.mark.parametrize(
    ("address", "path"),
    [("unix:///a/b", "/a/b"), ("unix:a/b", "a/b"), ("unix:/a/b", "/a/b"), ("host:5060", None), ("a/unix:b", None)],
)
def test_the_path_of_an_address(address: str, path: str | None) -> None:
    """Both of gRPC's forms."""
    assert find_socket_path(FalcoTarget(address)) == (Path(path) if path else None)


def test_a_socket_that_takes_connections_has_no_error(listening: FalcoTarget) -> None:
    """Nor has a target that is none."""
    assert find_socket_error(listening) is None
    assert takes_connections(listening)
    assert find_socket_error(FalcoTarget("127.0.0.1:1")) is None


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        (errno.ENOENT, ["there is no socket /s", "bind_address: 'unix:///s'", "grpc_output", "0.44 and later"]),
        (errno.EACCES, ["no permission to connect to /s", f"runs as uid {os.geteuid()}: Falco lets only its own"]),
        (
            errno.EPERM,
            ["no permission to connect to /s (nor to look into its directory), and the exporter", "(0, root"],
        ),
        (errno.ECONNREFUSED, ["/s is not a socket", "correct the target's address"]),
        (errno.ETIMEDOUT, ["cannot connect to the socket /s: Connection timed out"]),
    ],
)
def test_each_error_of_a_socket_is_explained(number: int, parts: list[str]) -> None:
    """By its number; the path is said."""
    said = module._explain_socket(Path("/s"), OSError(number, os.strerror(number)))
    assert all(part in said for part in parts), said
    assert module._explain_socket(Path("/s"), OSError("too long")) == "cannot connect to the socket /s: too long"


def test_a_stale_socket_and_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody listens on is told from one that is no socket."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
    said = find_socket_error(FalcoTarget("unix:s"))
    assert said is not None
    assert said.startswith("nothing listens on the socket s: Falco was killed and left it behind")
    assert "0.44 and later" in said
    (tmp_path / "file").touch(mode=0o640)
    (tmp_path / "file").chmod(0o640)
    assert module._describe_owner(tmp_path / "file") == f" (owned by uid {os.geteuid()}, mode 0640)"
    assert not module._is_socket(tmp_path / "file")
    assert not module._is_socket(tmp_path / "missing")
    assert module._is_socket(tmp_path / "s")


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "[::1]:{}", "localhost:{}"])
def test_a_port_that_takes_connections(address: str) -> None:
    """However the host is written."""
    family = socket.AF_INET6 if "[" in address else socket.AF_INET
    with socket.create_server(("::1" if "[" in address else "127.0.0.1", 0), family=family) as server:
        target = FalcoTarget(address.format(server.getsockname()[1]))
        assert takes_connections(target)
    assert not takes_connections(target)


@pytest.mark.parametrize("address", ["127.0.0.1:port", "127.0.0.1:99999999", "127.0.0.1"])
def test_a_port_that_is_none_takes_no_connections(address: str) -> None:
    """It is not raised."""
    assert not takes_connections(FalcoTarget(address))


def test_how_long_a_connection_is_waited_for(monkeypatch: pytest.MonkeyPatch, listening: FalcoTarget) -> None:
    """Five seconds, to a port as to a socket."""
    asked: list[object] = []

    def refuse(address: object, timeout: object) -> None:
        asked.append((address, timeout))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert not takes_connections(FalcoTarget("XhostX:5060"))
    assert asked == [(("XhostX", 5060), 5.0)]

    class Probe(socket.socket):
        def settimeout(self, seconds: float | None, /) -> None:
            asked.append(seconds)
            super().settimeout(seconds)

    monkeypatch.setattr(socket, "socket", Probe)
    assert find_socket_error(listening) is None
    assert asked[1:] == [5.0]


def test_what_is_no_call_says_itself_what_it_is(listening: FalcoTarget) -> None:
    """Also where the call was silent."""
    assert explain(listening, RetryableError("cannot read the file")) == "cannot read the file"


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        (grpc.StatusCode.UNAVAILABLE, ["Falco closed the connection to unix:s", "stopping or was killed (as told)"]),
        (grpc.StatusCode.UNIMPLEMENTED, ["a gRPC server answers at unix:s", "not Falco's (as told)", "0.44 and later"]),
        (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            ["unix:s takes connections but did not answer in time: Falco hangs or is stopping; look into its log, and"],
        ),
        (grpc.StatusCode.INTERNAL, ["the call to unix:s failed with INTERNAL: as told"]),
    ],
)
def test_each_failure_of_a_call_is_explained(listening: FalcoTarget, code: grpc.StatusCode, parts: list[str]) -> None:
    """By its code, with Falco's own words."""
    said = explain(listening, Failed(code))
    assert all(part in said for part in parts), said


def test_a_silent_call_is_explained(listening: FalcoTarget) -> None:
    """Whatever its code is: we cancelled it ourselves."""
    said = explain(listening, Failed(grpc.StatusCode.CANCELLED), silent=True)
    assert said.startswith("unix:s takes our calls but does not answer")
    assert "grpc.threadiness" in said


def test_a_failure_without_words(listening: FalcoTarget) -> None:
    """grpc gives None for details it does not have."""
    assert explain(listening, Failed(grpc.StatusCode.INTERNAL, None)) == "the call to unix:s failed with INTERNAL: "


@pytest.mark.parametrize("address", ["unix:missing", "nonsense"])
def test_an_unavailable_target_is_looked_at(address: str) -> None:
    """What is wrong with its socket or address says more than gRPC does; the diagnosis says the same."""
    said = explain(FalcoTarget(address), Failed(grpc.StatusCode.UNAVAILABLE))
    assert ("no socket" in said) == (address == "unix:missing")
    assert ("HOST:PORT" in said) == (address == "nonsense")
    [finding] = diagnose(FalcoTarget(address))
    assert (finding.level, finding.text) == ("error", said)


class Channel:
    """Stands in for grpcio's; notes that it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, listening: FalcoTarget) -> Channel:
    """The only one that is opened, to a socket that takes connections."""
    opened = Channel()
    monkeypatch.setattr(module, "open_channel", lambda target: opened if target is listening else None)
    return opened


def test_a_target_that_answers(listening: FalcoTarget, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its versions, and what cannot be seen from here; nothing stays open."""
    version = falco_version_pb2.response(version="0.43.1", engine_version="0.58.0")
    monkeypatch.setattr(module, "ask_version", lambda asked: version if asked is channel else None)
    assert [(finding.level, finding.text) for finding in diagnose(listening)] == [
        ("ok", "Falco 0.43.1 (engine 0.58.0) answers at unix:s"),
        (
            "note",
            "alerts come only where falco.yaml also has `grpc_output: {enabled: true}`, which cannot be seen from here",
        ),
        ("note", module.SHARED_QUEUE),
    ]
    assert channel.is_closed


@pytest.mark.parametrize("error", [Failed(grpc.StatusCode.INTERNAL), RetryableError("cannot read the file")])
def test_a_target_that_does_not_answer(
    error: Exception, listening: FalcoTarget, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error, as for a call that fails."""

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(module, "ask_version", fail)
    [finding] = diagnose(listening)
    assert (finding.level, finding.text) == ("error", explain(listening, error))
    assert channel.is_closed
