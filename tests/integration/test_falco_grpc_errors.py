"""Every way in which a Falco cannot be reached has a message that says what to do."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import FalcoGrpc, FalcoTarget, TlsClient
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.scenarios import reference_alert
from exporter.simulator.server import FalcoSimulator, ServerTls
from exporter.sources.falco_grpc import FalcoGrpcSource
from exporter.sources.falco_grpc_channel import GET
from exporter.sources.falco_grpc_errors import diagnose
from tests.integration.certificates import Authority, Pair
from tests.integration.falco import KeepingSink, running
from tests.waiting import wait_until


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield Path(path)


@dataclass
class Tls:
    """An authority with what it signed, and another that Falco does not know."""

    authority: Authority
    stranger: Authority
    client: Pair

    def target(self, address: str, client: Pair | None, authority: Authority | None = None) -> FalcoTarget:
        tls = TlsClient(
            (authority or self.authority).cert_file,
            client.cert_file if client else None,
            client.key_file if client else None,
        )
        return FalcoTarget(address, tls=tls)

    def falco(self, server: Pair) -> FalcoSimulator:
        return FalcoSimulator("127.0.0.1:0", tls=ServerTls(server.cert_file, server.key_file, self.authority.cert_file))


@pytest.fixture
def tls(directory: Path) -> Tls:
    authority = Authority(directory)
    return Tls(authority, Authority(directory, "stranger"), authority.make_client())


def find_message(target: FalcoTarget) -> str:
    """Return what ``diagnose`` and a running source say, which must be the same."""
    findings = diagnose(target)
    assert [finding.level for finding in findings] == ["error"]
    source = make_source(target)
    with running(source, KeepingSink()):
        wait_until(lambda: source.state.startswith("down: "))
    if "TLS file" not in findings[0].text:
        assert source.state == f"down: {findings[0].text}"
    return findings[0].text


def make_source(target: FalcoTarget, **options: float) -> FalcoGrpcSource:
    return FalcoGrpcSource(target, FalcoGrpc(), SelfMetrics(CollectorRegistry()), **options)


def test_a_working_target_has_no_error_and_a_word_on_the_shared_queue(directory: Path) -> None:
    """The diagnosis names Falco's version, takes no alert, and says what sharing one queue means."""
    with FalcoSimulator(f"unix://{directory}/falco.sock") as falco:
        falco.emit(reference_alert())
        findings = diagnose(FalcoTarget(falco.address))
        assert [finding.level for finding in findings] == ["ok", "note", "note"]
        assert "Falco 0.43.1 (engine 0.58.0)" in findings[0].text
        assert "one queue for all its gRPC clients" in findings[2].text
        assert falco.queued == 1


def test_a_missing_socket(directory: Path) -> None:
    """No file: switch gRPC on, correct the path, or use http_output with a Falco that has no gRPC."""
    message = find_message(FalcoTarget(f"unix://{directory}/falco.sock"))
    assert f"there is no socket {directory}/falco.sock" in message
    assert "grpc_output" in message
    assert "http_output" in message


def test_a_stale_socket(directory: Path) -> None:
    """A file that nobody listens on: Falco was killed."""
    falco = FalcoSimulator(f"unix://{directory}/falco.sock").start()
    falco.kill()
    assert "Falco was killed and left it behind" in find_message(FalcoTarget(falco.address))


def test_a_path_that_is_no_socket(directory: Path) -> None:
    """A plain file is named as such."""
    (directory / "falco.sock").touch()
    assert "is not a socket" in find_message(FalcoTarget(f"unix://{directory}/falco.sock"))


def test_a_path_that_is_too_long_for_a_socket(directory: Path) -> None:
    """The system's limit on paths is reported, not raised."""
    assert "too long" in find_message(FalcoTarget(f"unix://{directory}/{'x' * 200}"))


def test_a_socket_of_another_user(directory: Path) -> None:
    """Falco's socket is mode 0755: whoever is not its owner is told whom to run as."""
    with FalcoSimulator(f"unix://{directory}/falco.sock") as falco, unprivileged(directory / "falco.sock"):
        (finding,) = diagnose(FalcoTarget(falco.address))
    assert "no permission to connect" in finding.text
    assert "owned by uid" in finding.text
    assert "run the exporter as that user" in finding.text


@contextlib.contextmanager
def unprivileged(path: Path) -> Iterator[None]:
    """Be somebody who may not write to the path, root or not."""
    if os.geteuid() != 0:
        path.chmod(0o555)
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_no_client_certificate(tls: Tls) -> None:
    """Falco asks for one; gRPC alone says "Socket closed"."""
    with tls.falco(tls.authority.make_server()) as falco:
        message = find_message(tls.target(falco.address, None))
    assert "asks for a client certificate and none is set" in message
    assert "cert_file and key_file" in message


def test_a_client_certificate_of_another_authority(tls: Tls) -> None:
    """The message says who must have signed it."""
    with tls.falco(tls.authority.make_server()) as falco:
        message = find_message(tls.target(falco.address, tls.stranger.make_client("foreign")))
    assert "refuses our client certificate" in message
    assert "grpc.root_certs" in message


def test_an_expired_client_certificate(tls: Tls) -> None:
    """The message says when it expired."""
    with tls.falco(tls.authority.make_server()) as falco:
        message = find_message(tls.target(falco.address, tls.authority.make_client("old", days=-1)))
    assert "old.pem expired at 20" in message
    assert "renew it" in message


def test_a_server_of_another_authority(tls: Tls) -> None:
    """A wrong ca_file is named."""
    with tls.falco(tls.authority.make_server()) as falco:
        message = find_message(tls.target(falco.address, tls.client, tls.stranger))
    assert f"not signed by {tls.stranger.cert_file}" in message
    assert "ca_file" in message


def test_an_expired_server_certificate(tls: Tls) -> None:
    """Falco's own certificate is to be renewed."""
    with tls.falco(tls.authority.make_server(days=-1)) as falco:
        message = find_message(tls.target(falco.address, tls.client))
    assert "has expired" in message
    assert "grpc.cert_chain" in message


def test_a_server_certificate_for_another_name(tls: Tls) -> None:
    """The address has to carry the certificate's name."""
    with tls.falco(tls.authority.make_server(host="elsewhere.example")) as falco:
        message = find_message(tls.target(falco.address, tls.client))
    assert "is for another name" in message


def test_a_key_that_does_not_belong_to_the_certificate(tls: Tls) -> None:
    """Mixed-up files are named."""
    other = tls.authority.make_client("other")
    with tls.falco(tls.authority.make_server()) as falco:
        message = find_message(tls.target(falco.address, Pair(tls.client.cert_file, other.key_file)))
    assert "does not belong to the certificate" in message


def test_a_tls_file_that_cannot_be_read(directory: Path) -> None:
    """The missing file is named."""
    target = FalcoTarget("127.0.0.1:1", tls=TlsClient(directory / "none.pem"))
    assert "none.pem" in find_message(target)


def test_a_server_that_speaks_no_tls(tls: Tls) -> None:
    """Another program's port is recognised."""
    with FalcoSimulator("127.0.0.1:0") as falco:
        assert "does not speak TLS" in find_message(tls.target(falco.address, tls.client))


def test_a_port_where_nobody_listens(tls: Tls) -> None:
    """The message names address, setting and the Falco versions without gRPC."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        message = find_message(tls.target(f"127.0.0.1:{taken.getsockname()[1]}", tls.client))
    assert "Connection refused" in message
    assert "http_output" in message


@pytest.mark.parametrize("address", ["falco", "falco:", ":5060", "falco:port"])
def test_an_address_that_is_none(address: str) -> None:
    """The two forms of an address are named."""
    assert "expected unix:///PATH or HOST:PORT" in find_message(FalcoTarget(address))


def test_a_grpc_server_that_is_not_falcos(directory: Path) -> None:
    """A server without Falco's services is told apart from Falco."""
    address = f"unix://{directory}/other.sock"
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_insecure_port(address)
    server.start()
    try:
        message = find_message(FalcoTarget(address))
    finally:
        server.stop(None).wait()
    assert "it is not Falco's" in message


def test_a_call_that_waits_for_ever_is_given_up(directory: Path) -> None:
    """With Falco's concurrent calls used up by others, a call waits silently: the state says so, and a stop works."""
    with FalcoSimulator(f"unix://{directory}/falco.sock", threadiness=1) as falco:
        message = reference_alert().to_message() + b"\x52" + b"\x80\x80\x40" + b"x" * 2**20
        falco.emit_raw([message] * 500)
        channel = grpc.insecure_channel(
            falco.address, [("grpc.max_receive_message_length", 2**22), ("grpc.http2.bdp_probe", 0)]
        )
        get = channel.unary_stream(GET)
        greedy = [get(b"") for _ in range(10)]
        wait_until(lambda: falco.asked["get"] == 10)
        source = make_source(FalcoTarget(falco.address), silence_seconds=0.5)
        with running(source, KeepingSink()):
            wait_until(lambda: "limit of concurrent calls" in source.state)
        for call in greedy:
            call.cancel()
        channel.close()


def test_a_killed_falco_and_its_successor(directory: Path) -> None:
    """After kill -9 the stale socket is recognised, and a new Falco is connected to before a back-off has grown."""
    address = f"unix://{directory}/falco.sock"
    first = start_process(address)
    source, sink = make_source(FalcoTarget(address)), KeepingSink()
    with running(source, sink):
        wait_until(lambda: len(sink.alerts) == 1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        wait_until(lambda: "was killed and left it behind" in source.state)
        with FalcoSimulator(address) as second:
            begun = time.monotonic()
            second.emit(reference_alert())
            wait_until(lambda: len(sink.alerts) == 2)
            assert time.monotonic() - begun < 5.0


def test_an_idle_source_costs_little(directory: Path) -> None:
    """Idle polling of a Falco in another process is no busy loop: about one per cent of a core if nothing else runs."""
    process = start_process(f"unix://{directory}/falco.sock")
    source, sink = make_source(FalcoTarget(f"unix://{directory}/falco.sock")), KeepingSink()
    with running(source, sink):
        wait_until(lambda: len(sink.alerts) == 1)
        cpu, begun = time.process_time(), time.monotonic()
        time.sleep(2)
        share = (time.process_time() - cpu) / (time.monotonic() - begun)
    process.terminate()
    process.wait()
    assert share < 0.1


def start_process(address: str) -> subprocess.Popen[str]:
    """Start a simulated Falco as a process of its own, with one alert queued."""
    command = [sys.executable, "-m", "benchmarks.simulated_falco", "--address", address, "--scenario", "reference"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline().startswith("serving on ")
    return process


def test_a_falco_that_is_back_on_its_port_is_noticed_within_seconds() -> None:
    """However long the pause between two tries has become: the port is looked at meanwhile."""
    with contextlib.closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    settings = FalcoGrpc(reconnect_ceiling_seconds=600.0)
    source = FalcoGrpcSource(FalcoTarget(f"127.0.0.1:{port}"), settings, SelfMetrics(CollectorRegistry()))
    source._backoff_seconds = 600.0
    stop = threading.Event()
    waiting = threading.Thread(target=source._back_off, args=(stop,))
    waiting.start()
    try:
        waiting.join(1.5)
        assert waiting.is_alive()
        with contextlib.closing(socket.socket()) as back:
            back.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            back.bind(("127.0.0.1", port))
            back.listen()
            waiting.join(30)
        assert not waiting.is_alive()
    finally:
        stop.set()
        waiting.join(30)


def test_a_port_that_stays_open_is_left_in_peace() -> None:
    """A Falco that refuses our certificate is asked again only after the pause."""
    with contextlib.closing(socket.socket()) as there:
        there.bind(("127.0.0.1", 0))
        there.listen()
        target = FalcoTarget(f"127.0.0.1:{there.getsockname()[1]}")
        source = FalcoGrpcSource(target, FalcoGrpc(), SelfMetrics(CollectorRegistry()))
        source._backoff_seconds = 3.0
        begun = time.monotonic()
        source._back_off(threading.Event())
        assert time.monotonic() - begun >= 1.5
