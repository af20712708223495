"""Messages received with less of grpcio around them are those that grpcio's own iterator gives, to the same end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from exporter.config.model import FalcoTarget
from exporter.errors import RetryableError
from exporter.sources import falco_grpc_messages as module
from exporter.sources.falco_grpc_channel import open_channel
from exporter.sources.falco_grpc_messages import read_messages

MESSAGES = [b"", b"1", b"22" * 10, b"3" * 40_000, b"4"]
Answer = Callable[[grpc.ServicerContext], Iterator[bytes]]


@pytest.fixture
def ask(socket_path: Path) -> Iterator[Callable[[Answer], Any]]:
    """Return a function that begins a call, which a function answers."""
    answers: list[Answer] = []

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            return grpc.unary_stream_rpc_method_handler(lambda request, context: answers[-1](context))

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Handler()])
    server.add_insecure_port(f"unix://{socket_path}")
    server.start()
    channel = open_channel(FalcoTarget(f"unix://{socket_path}"), window_bytes=16_384)
    get: Any = channel.unary_stream("/a/get", request_serializer=None, response_deserializer=None)

    def begin(answer: Answer) -> Any:
        answers.append(answer)
        return get(b"")

    yield begin
    channel.close()
    server.stop(None).wait()


def test_every_message_comes_in_order(ask: Any) -> None:
    """Empty ones too, and such as are larger than the window."""
    call = ask(lambda context: iter(MESSAGES * 3))
    read = read_messages(call)
    assert read is not call, "grpcio's own iterator was taken"
    assert list(read) == MESSAGES * 3
    assert call.code() is grpc.StatusCode.OK
    assert list(read_messages(ask(lambda context: iter(())))) == []


def test_an_error_comes_after_the_messages_before_it(ask: Any) -> None:
    """With its code and what the server said."""

    def answer(context: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"1"
        yield b"2"
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")

    read = read_messages(ask(answer))
    assert [next(read), next(read)] == [b"1", b"2"]
    with pytest.raises(grpc.RpcError) as raised:
        next(read)
    error: Any = raised.value
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")


@pytest.mark.parametrize("waiting", [False, True])
def test_a_call_that_is_cancelled_ends(ask: Any, waiting: bool) -> None:
    """From another thread while the next message is awaited, or between two."""
    open_until = threading.Event()

    def answer(context: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"1"
        open_until.wait(30)

    call = ask(answer)
    read = read_messages(call)
    assert next(read) == b"1"
    if waiting:
        threading.Timer(0.1, call.cancel).start()
    else:
        call.cancel()
    with pytest.raises(grpc.RpcError) as raised:
        next(read)
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.CANCELLED
    open_until.set()


@pytest.mark.parametrize("name", ["_SingleThreaded", "_handle_event", "_ReceiveMessage", "_RECEIVE"])
def test_without_a_name_grpcios_own_iterator_is_taken(ask: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Another grpcio may call it otherwise."""
    monkeypatch.setattr(module, name, None)
    call = ask(lambda context: iter(MESSAGES))
    assert read_messages(call) is call
    assert list(call) == MESSAGES


def test_names_that_are_not_there() -> None:
    """No module, or nothing of that name in it."""
    assert module._find("grpc._channel", "_handle_event") is module._handle_event is not None
    assert module._find("grpc._gone", "x") is module._find("grpc", "gone", "x") is None


class Scripted(Iterator[bytes]):
    """A call whose events a test gives, and what grpcio's own iterator would say then."""

    def __init__(self, *events: Any, own: list[bytes]) -> None:
        self._state = SimpleNamespace(code=None, due=set(), condition=threading.Lock(), response=None)
        self._call = SimpleNamespace(operate=lambda *_: True, next_event=iter(events).__next__)
        self._own = iter(own)

    def __next__(self) -> bytes:
        return next(self._own)


def received(message: bytes | None) -> Any:
    return SimpleNamespace(type=lambda: module._RECEIVE, message=lambda: message)


def test_a_message_beside_something_else_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """grpcio tells of each message by itself; should it not, what it makes of the event counts."""
    beside = SimpleNamespace(batch_operations=[received(b"2"), SimpleNamespace(type=lambda: 1)])
    alone = [SimpleNamespace(batch_operations=[received(message)]) for message in (b"1", None)]
    call = Scripted(alone[0], beside, alone[1], own=[b"3"])

    def handle(event: Any, state: Any, deserializer: Any) -> list[Any]:
        assert (event, deserializer) == (beside, None)
        state.due.remove(module._RECEIVE)
        state.response = b"2"
        return [lambda: called.append(event)]

    called: list[Any] = []
    monkeypatch.setattr(module, "_SingleThreaded", Scripted)
    monkeypatch.setattr(module, "_handle_event", handle)
    assert list(read_messages(call)) == [b"1", b"2", b"3"]
    assert called == [beside]


def test_a_call_that_takes_no_more_requests_is_left_to_grpcio(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Scripted(own=[b"1"])
    call._call.operate = lambda *_: False
    monkeypatch.setattr(module, "_SingleThreaded", Scripted)
    assert list(read_messages(call)) == [b"1"]
    assert call._state.due == set()


def test_a_grpcio_that_has_changed_is_read_by_its_own_iterator(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the next call on; this one is made again."""
    monkeypatch.setattr(module, "_SingleThreaded", Scripted)
    monkeypatch.setattr(module, "_changed", threading.Event())
    call = Scripted(SimpleNamespace(operations=[received(b"1")]), own=[b"1"])
    with pytest.raises(RetryableError, match=r"no attribute 'batch_operations'.*the slower way"):
        next(read_messages(call))
    assert read_messages(call) is call
