"""The messages of a call, received with less of grpcio's Python around each.

Owns the one place that knows names which grpcio keeps to itself. grpcio's own
iterator takes three locks and a dozen calls for a message, a third of what
receiving costs. Where a name is missing or means something else, or the call is
of another kind, that iterator takes over; it also says how each call ended, and
who cancels one needs to know nothing.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from typing import Any

from exporter.errors import RetryableError

_changed = threading.Event()
"""Set once this grpcio has turned out to be another than expected."""


def read_messages(call: Any) -> Iterator[bytes]:
    """Return the raw messages of a call that is under way; the iterator raises grpc.RpcError as grpcio's own does.

    It raises RetryableError where this grpcio turns out to be another than expected; later calls are read by its own.
    """
    its_own: Iterator[bytes] = call
    names = (_ReceiveMessage, _RECEIVE, _handle_event)
    if _changed.is_set() or None in names or type(call) is not _SingleThreaded:
        return its_own
    return _watch(_read(call))


def _watch(messages: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from messages
    except (AttributeError, KeyError, TypeError) as exc:
        _changed.set()
        raise RetryableError(f"this grpcio is new to us ({exc}); from now on it is read the slower way") from exc


def _read(call: Any) -> Iterator[bytes]:
    state, due = call._state, call._state.due
    operate, next_event = call._call.operate, call._call.next_event
    while state.code is None:
        # Before it is asked for, as an interrupt may come in between.
        due.add(_RECEIVE)
        if not operate((_ReceiveMessage(0),), None):
            due.remove(_RECEIVE)
        message = None
        while _RECEIVE in due:
            event = next_event()
            operations = event.batch_operations
            if len(operations) == 1 and operations[0].type() == _RECEIVE:
                due.remove(_RECEIVE)
                message = operations[0].message()
            else:
                with state.condition:
                    callbacks = _handle_event(event, state, None)
                    message, state.response = state.response, None
                for callback in callbacks:
                    callback()
        if message is None:
            break
        yield message
    yield from call


def _find(module: str, *names: str) -> Any:
    """Return what grpcio calls so, None where this one does not."""
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        return None
    for name in names:
        found = getattr(found, name, None)
    return found


_SingleThreaded = _find("grpc._channel", "_SingleThreadedRendezvous")
_handle_event = _find("grpc._channel", "_handle_event")
_ReceiveMessage = _find("grpc._cython.cygrpc", "ReceiveMessageOperation")
_RECEIVE = _find("grpc._cython.cygrpc", "OperationType", "receive_message")
