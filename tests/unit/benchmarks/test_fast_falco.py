"""The fast simulator: the same three methods, by an HTTP/2 of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice

import grpc
import pytest

from benchmarks import http2
from benchmarks.fast_falco import FastFalco
from exporter._proto import falco_version_pb2
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sources.decode import from_grpc

GET, SUB, VERSION = "/falco.outputs.service/get", "/falco.outputs.service/sub", "/falco.version.service/version"


@pytest.fixture
def falco() -> Iterator[FastFalco]:
    with tempfile.TemporaryDirectory() as directory, FastFalco(f"unix://{directory}/falco.sock") as simulator:
        yield simulator


@pytest.fixture
def channel(falco: FastFalco) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(falco.address) as opened:
        yield opened


def flood(count: int) -> list[bytes]:
    return [stamp(message, 10**18 + number) for number, message in enumerate(islice(flood_messages(), count))]


def test_get_brings_a_long_backlog_in_order_and_ends(falco: FastFalco, channel: grpc.Channel) -> None:
    """Ten thousand messages cross many windows and frames unharmed, and the call ends with OK."""
    falco.emit_raw(flood(10_000))
    call = channel.unary_stream(GET)(b"")
    assert [from_grpc(raw).time_ns for raw in call] == list(range(10**18, 10**18 + 10_000))
    assert call.code() is grpc.StatusCode.OK
    assert falco.queued == 0
    assert list(channel.unary_stream(GET)(b"")) == []


def test_a_message_larger_than_window_and_frame_arrives(falco: FastFalco, channel: grpc.Channel) -> None:
    """A message of a megabyte is cut into frames as the client's window opens."""
    falco.emit_raw([b"x" * 1_000_000])
    assert list(channel.unary_stream(GET)(b"")) == [b"x" * 1_000_000]


def test_sub_answers_each_request(falco: FastFalco, channel: grpc.Channel) -> None:
    """One request drains the queue; the stream stays open for the next."""
    falco.emit_raw([b"one", b"two"])
    call = channel.stream_stream(SUB)(iter([b""]))
    assert [next(call), next(call)] == [b"one", b"two"]
    assert call.is_active()
    call.cancel()


def test_version_answers_and_other_methods_are_unimplemented(channel: grpc.Channel) -> None:
    """It is a Falco 0.43.1 with three methods."""
    answer = falco_version_pb2.response.FromString(channel.unary_unary(VERSION)(b""))
    assert answer.version == "0.43.1"
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/falco.outputs.service/none")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", "/"),
        ("8286 4403 2f61 62", "/ab"),
        ("20 0492 6251d043ae7b535da942e82d9dcc42b13153", "/falco.outputs.service/get"),
        ("00053a706174680178", "x"),
        ("82", ""),
    ],
)
def test_a_path_is_read_out_of_a_header_block(block: str, path: str) -> None:
    """Indexed, literal and Huffman-coded headers are read as RFC 7541 has them."""
    assert http2.read_path(bytes.fromhex(block)) == path
