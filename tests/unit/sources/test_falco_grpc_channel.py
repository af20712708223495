"""The shape of each call, and reading a stream that never says when a drain is over: on a channel in memory."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.experimental
import pytest

from exporter._proto import falco_version_pb2
from exporter.config.model import FalcoTarget, TlsClient
from exporter.errors import RetryableError
from exporter.sources import falco_grpc_channel as module
from exporter.sources.falco_grpc_channel import (
    GET,
    SUB,
    VERSION,
    GetPoller,
    StreamEndedError,
    SubPoller,
    ask_version,
    find_single_threaded_option,
    make_poller,
    open_channel,
    read_credentials,
)
from tests.waiting import wait_until

SECONDS = 30.0
"""Longer than any wait in these tests."""


class Call:
    """A call under way, whose answers a test gives."""

    def __init__(self, requests: Iterator[bytes] | None = None) -> None:
        self.requests = requests
        self.answers: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        self.cancels = 0

    def __iter__(self) -> Iterator[bytes]:
        while (answer := self.answers.get(timeout=SECONDS)) is not None:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def cancel(self) -> None:
        self.cancels += 1
        self.answers.put(grpc.RpcError("cancelled"))


class Channel:
    """Stands in for grpcio's; has what it was asked for."""

    def __init__(self) -> None:
        self.methods: list[tuple[str, Any, Any]] = []
        self.asked: list[Any] = []
        self.calls: list[Call] = []

    def _method(self, path: str, *, request_serializer: Any, response_deserializer: Any) -> None:
        self.methods.append((path, request_serializer, response_deserializer))

    def unary_unary(self, path: str, **how: Any) -> Any:
        self._method(path, **how)

        def call(request: Any, *, timeout: float) -> Any:
            self.asked.append((request, timeout))
            return falco_version_pb2.response(version="0.43.1")

        return call

    def unary_stream(self, path: str, **how: Any) -> Any:
        self._method(path, **how)

        def call(request: bytes) -> Call:
            self.asked.append(request)
            self.calls.append(Call())
            return self.calls[-1]

        return call

    def stream_stream(self, path: str, **how: Any) -> Any:
        self._method(path, **how)

        def call(requests: Iterator[bytes]) -> Call:
            self.calls.append(Call(requests))
            return self.calls[-1]

        return call


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def sub(channel: Channel) -> Iterator[SubPoller]:
    poller = SubPoller(channel)  # type: ignore[arg-type]
    yield poller
    poller.cancel()


class Patient(SubPoller):
    """One that waits long for each answer, so that a test with a busy machine sees all of them."""

    FIRST_SECONDS = NEXT_SECONDS = 0.3


class Grpc:
    """Stands in for grpcio's ways to open a channel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[tuple[Any, ...]] = []
        for name in ("insecure_channel", "secure_channel"):
            monkeypatch.setattr(grpc, name, lambda *given, name=name: self.opened.append((name, *given)))
        monkeypatch.setattr(grpc, "ssl_channel_credentials", lambda **given: given)


def test_which_channel_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Plain to a unix socket, mutual TLS to a port, with every option."""
    opened = Grpc(monkeypatch)
    option = find_single_threaded_option()
    assert option is not None
    files = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}
    for name, file in files.items():
        file.write_text(name)
    open_channel(FalcoTarget("unix:///s"), window_bytes=5)
    open_channel(FalcoTarget("host:5060", tls=TlsClient(**files)))
    options = [*module._OPTIONS, ("grpc.http2.lookahead_bytes", 5), (option, 1)]
    credentials = {"root_certificates": b"ca_file", "private_key": b"key_file", "certificate_chain": b"cert_file"}
    assert opened.opened[0] == ("insecure_channel", "unix:///s", options)
    options[-2] = ("grpc.http2.lookahead_bytes", 16_384)
    assert opened.opened[1] == ("secure_channel", "host:5060", credentials, options)
    assert read_credentials(TlsClient()) == dict.fromkeys(credentials)  # type: ignore[comparison-overlap]


def test_a_grpcio_without_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the one name is gone or the other."""
    assert find_single_threaded_option() == grpc.experimental.ChannelOptions.SingleThreadedUnaryStream
    opened = Grpc(monkeypatch)
    with monkeypatch.context() as patch:
        patch.delattr(grpc.experimental.ChannelOptions, "SingleThreadedUnaryStream")
        assert find_single_threaded_option() is None
    monkeypatch.delattr(grpc.experimental, "ChannelOptions")
    assert find_single_threaded_option() is None
    open_channel(FalcoTarget("unix:///s"))
    assert len(opened.opened[0][2]) == len(module._OPTIONS) + 1


def test_a_tls_file_that_cannot_be_read_may_come_later(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(RetryableError, match=r"cannot read the TLS file .*/none: No such file or directory; check"):
        open_channel(FalcoTarget("host:1", tls=TlsClient(tmp_path / "none")))


def test_the_version_is_asked_for(channel: Channel) -> None:
    """Within five seconds."""
    assert ask_version(channel).version == "0.43.1"  # type: ignore[arg-type]
    [(path, write, read)] = channel.methods
    assert path == VERSION == "/falco.version.service/version"
    assert write(falco_version_pb2.request()) == b""
    assert read(falco_version_pb2.response(version="x").SerializeToString()).version == "x"
    assert channel.asked == [(falco_version_pb2.request(), 5.0)]


def test_get_makes_a_call_for_each_poll(channel: Channel) -> None:
    """Raw both ways; nothing is under way in between, and cancelling ends the call."""
    poller = make_poller("get", channel)  # type: ignore[arg-type]
    assert isinstance(poller, GetPoller)
    assert channel.methods == [(GET, None, None)]
    poller.cancel()
    first = poller.poll()
    assert first is channel.calls[0]  # type: ignore[comparison-overlap]
    assert channel.asked == [b""]
    assert list(poller.finish()) == []
    poller.cancel()
    assert channel.calls[0].cancels == 1


def test_sub_asks_on_one_stream(channel: Channel) -> None:
    """Each poll is one empty request; its answers are those that come without a pause."""
    poller = Patient(channel)  # type: ignore[arg-type]
    assert channel.methods == [(SUB, None, None)]
    [call] = channel.calls
    for answer in (b"1", b"2"):
        call.answers.put(answer)
    assert list(poller.poll()) == [b"1", b"2"]
    assert list(poller.poll()) == []
    call.answers.put(b"3")
    assert list(poller.poll()) == [b"3"]
    poller.cancel()
    assert call.requests is not None
    assert list(call.requests) == [b""] * 3
    assert call.cancels == 1


def test_the_kinds_of_poller(channel: Channel) -> None:
    """As the setting says."""
    poller = make_poller("sub", channel)  # type: ignore[arg-type]
    assert isinstance(poller, SubPoller)
    assert poller._channel is channel  # type: ignore[comparison-overlap]
    poller.cancel()


@pytest.mark.parametrize(
    ("end", "error", "words"),
    [(None, StreamEndedError, "^Falco ended the stream: it is stopping$"), (grpc.RpcError("x"), grpc.RpcError, "^x$")],
)
def test_the_end_of_a_stream_is_raised_after_its_answers(
    channel: Channel, end: Exception | None, error: type[Exception], words: str
) -> None:
    """What came before it is given."""
    poller = Patient(channel)  # type: ignore[arg-type]
    channel.calls[0].answers.put(b"1")
    channel.calls[0].answers.put(end)
    taken = []
    with pytest.raises(error, match=words):
        taken.extend(poller.poll())
    assert taken == [b"1"]
    poller.cancel()


def test_finishing_takes_what_is_under_way_and_cancels(channel: Channel, sub: SubPoller) -> None:
    """Without a further request."""
    for answer in (b"1", b"2"):
        channel.calls[0].answers.put(answer)
    assert list(sub.finish()) == [b"1", b"2"]
    assert channel.calls[0].cancels == 1
    assert channel.calls[0].requests is not None
    assert list(channel.calls[0].requests) == []


def test_how_long_a_drain_waits(channel: Channel, sub: SubPoller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer for the first answer than for the next ones; at the end long for each."""
    waits: list[float | None] = []

    class Answers:
        def __init__(self, *given: bytes) -> None:
            self._given = list(given)

        def get(self, *, timeout: float | None) -> bytes:
            waits.append(timeout)
            if not self._given:
                raise queue.Empty
            return self._given.pop(0)

    monkeypatch.setattr(sub, "_answers", Answers(b"1", b"2"))
    assert list(sub.poll()) == [b"1", b"2"]
    assert waits == [0.01, 0.003, 0.003]
    waits.clear()
    monkeypatch.setattr(sub, "_answers", Answers(b"1"))
    assert list(sub.finish()) == [b"1"]
    assert waits == [0.2, 0.2]


def test_a_silent_stream_is_asked_for_its_version(channel: Channel, sub: SubPoller) -> None:
    """A dead peer and an idle Falco look the same; whoever spoke lately is left in peace."""
    assert list(sub.poll()) == []
    assert channel.asked == []
    sub._heard = time.monotonic() - 31
    assert list(sub.poll()) == []
    assert len(channel.asked) == 1
    assert list(sub.poll()) == []
    assert len(channel.asked) == 1
    sub._heard = time.monotonic() - 31
    channel.calls[0].answers.put(b"1")
    wait_until(lambda: not sub._answers.empty())
    assert list(sub.poll()) == [b"1"]
    assert len(channel.asked) == 1


def test_a_full_buffer_stops_the_reading(channel: Channel) -> None:
    """What is more waits in Falco; nothing is lost, and cancelling lets the reader go."""

    class Small(Patient):
        BUFFER_MESSAGES = 2

    poller = Small(channel)  # type: ignore[arg-type]
    for number in range(5):
        channel.calls[0].answers.put(b"%d" % number)
    wait_until(poller._answers.full)
    wait_until(lambda: channel.calls[0].answers.qsize() == 2)
    time.sleep(0.25)
    assert channel.calls[0].answers.qsize() == 2
    assert list(poller.poll()) == [b"0", b"1", b"2", b"3", b"4"]
    for number in range(5):
        channel.calls[0].answers.put(b"%d" % number)
    wait_until(poller._answers.full)
    poller.cancel()
    wait_until(lambda: "falco-sub-reader" not in [thread.name for thread in threading.enumerate()])


def test_the_reader_ends_with_the_poller(channel: Channel) -> None:
    """It is no reason for the process to go on."""
    poller = SubPoller(channel)  # type: ignore[arg-type]
    [reader] = [thread for thread in threading.enumerate() if thread.name == "falco-sub-reader"]
    assert reader.daemon
    poller.cancel()
    reader.join(SECONDS)
    assert not reader.is_alive()
    assert poller._put(b"late") is False
