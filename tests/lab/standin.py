"""Stand-ins for vendors' services: they answer what a scenario says, and refuse what the vendor does not describe.

A request whose path, method, query or body the published description does not
know is answered with 400 and fails the scenario at its end, whatever the client
made of it. Servers run in the test's process and listen in a laptop's network.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.lab.places.laptop import Laptop

_NETWORK = 0x40000000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a stand-in."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    query_text: str
    headers: Mapping[str, str]
    body: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What stands in the route's braces."""

    def json(self) -> Any:
        """Return the body's document; an empty one where there is no body."""
        return json.loads(self.body or b"{}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a document, or bytes."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Description(Protocol):
    """A vendor's published description of its interface."""

    def complaint(self, request: Request) -> str:
        """Return why the vendor would not know this request; empty where it does."""
        ...


class StandIn:
    """A service that knows what its vendor describes and answers what the scenario says."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._routes: list[tuple[str, re.Pattern[str], Callable[[Request], Any]]] = []
        self.requests: list[Request] = []
        """Everything that was asked, in order."""
        self.complaints: list[str] = []
        self.knows: Callable[[Request], Reply | None] = lambda _: None
        """What refuses a request without the reader's token, or of a token that may only read."""
        self.guard: Callable[[Request], Reply | None] = lambda _: None
        """What refuses a request that the vendor knows, for want of a right."""

    def answers(self, route: str, answer: Any) -> None:
        """Answer a route, e.g. ``GET /api/v1/users/{id}``, with a document, a Reply, or a function of the request.

        What was said last of a route holds.
        """
        method, _, path = route.partition(" ")
        pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + r"\Z")
        self._routes.insert(0, (method, pattern, answer if callable(answer) else lambda _: answer))

    def called(self, route: str) -> list[Request]:
        """Return the requests to a route."""
        method, _, path = route.partition(" ")
        return [each for each in self.requests if each.method == method and re.fullmatch(path, each.path)]

    def reply(self, request: Request) -> Reply:
        """Return the answer to a request."""
        self.requests.append(request)
        if complaint := self._description.complaint(request):
            self.complaints.append(f"{request.method} {request.path}: {complaint}")
            return Reply({"message": f"the vendor's description does not know it: {complaint}"}, 400)
        return self.knows(request) or self.guard(request) or self._answer(request)

    def _answer(self, request: Request) -> Reply:
        for method, pattern, answer in self._routes:
            found = pattern.match(request.path)
            if method == request.method and found:
                parameters = {name: unquote(value) for name, value in found.groupdict().items()}
                given = answer(_with(request, parameters))
                return given if isinstance(given, Reply) else Reply(given)
        lacking = {"message": "Not Found", "errorCode": "E0000007", "error": {"code": 404, "message": "Not found"}}
        return Reply(lacking, 404)


def _with(request: Request, parameters: Mapping[str, str]) -> Request:
    return replace(request, parameters=parameters)


def _enter_network(pid: int) -> None:
    with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NETWORK):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def in_network(pid: int, action: Callable[[], T]) -> T:
    """Run a function in the network of a process; what it opens there stays there."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            _enter_network(pid)
            found.append(action())
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


@contextlib.contextmanager
def serving(
    stand_in: StandIn, place: Laptop, *, port: int = 443, certificate: tuple[Path, Path] | None = None
) -> Iterator[None]:
    """Serve a stand-in on a laptop's loopback; with a certificate and its key, over TLS. Complaints fail the test."""
    server = in_network(place.pid, lambda: ThreadingHTTPServer(("127.0.0.1", port), _handler_of(stand_in)))
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not stand_in.complaints, "the vendor would refuse:\n" + "\n".join(stand_in.complaints)


def _handler_of(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def content(self) -> bytes:
            """Read the request's body, in chunks where it comes so (``gh api --input -``)."""
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while length := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def answer(self) -> None:
            """Answer one request of any method."""
            split = urlsplit(self.path)
            request = Request(
                self.command,
                self.headers.get("Host", ""),
                split.path,
                dict(parse_qsl(split.query, keep_blank_values=True)),
                split.query,
                {name.lower(): value for name, value in self.headers.items()},
                self.content(),
            )
            reply = stand_in.reply(request)
            body = reply.body if isinstance(reply.body, bytes) else b"" if reply.body is None else _json(reply.body)
            self.send_response(204 if reply.status == 200 and not body else reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

        def handle(self) -> None:
            """Let clients hang up when they like."""
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                super().handle()

    return Handler


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()
