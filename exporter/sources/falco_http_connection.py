"""One connection of a sender: HTTP/1.1 by llhttp, within limits.

Owns framing, the limits of a request and its deadline. A request whose head is
refused is answered at once, and its body is read and forgotten. Refuses to
know what a body means (``falco_http_inbox.py``) and who may post
(``falco_http_admission.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import httptools

from exporter.kept import Kept
from exporter.listener.connection import IDLE_SECONDS, Connections, Limits
from exporter.listener.peer import peer_of
from exporter.listener.tls import accepted_from
from exporter.sources.falco_http_admission import Admission, ReceiverReason, Refusals
from exporter.sources.falco_http_answers import CONTINUE, as_last, make_answer
from exporter.sources.falco_http_inbox import Inbox

HEAD_LIMIT_BYTES = 16_384
HEADER_COST_BYTES = 64
"""What a header counts besides its text, so that their number is bounded too."""
REFUSED_BYTES = 1024 * 1024
"""How much more of a body that is too large is read, so that its sender sees the 413."""
PARTS_LIMIT_BYTES = 64 * 1024 * 1024
"""Maximum size in bytes of bodies that have arrived in part, over all connections."""
SMALL_BYTES = 64 * 1024
"""Bodies up to this size are taken however many others have arrived in part."""
TLS_HANDSHAKE = b"\x16\x03"
TLS_HINT = (
    "a TLS handshake came to a listener without TLS: give Falco's http_output.url http://, "
    "or set http.tls.cert_file and http.tls.key_file"
)
KNOWN_HEADS = 2_048
"""Heads that are remembered, each of at most ``KNOWN_HEAD_BYTES``; a sender's differ in the body's length only."""
KNOWN_HEAD_BYTES = 1_024
_JUDGED = frozenset({b"authorization", b"origin", b"sec-fetch-site", b"expect"})
_FRAMING = frozenset({b"connection", b"content-length", b"transfer-encoding"})


@dataclass(eq=False)
class Shared:
    """What all connections of one receiver have in common."""

    limits: Limits
    connections: Connections[Connection]
    body_limit_bytes: int
    inbox: Inbox
    admission: Admission
    refusals: Refusals
    take_test: Callable[[Connection], None]
    """Take a test alert, or say why none is made."""
    too_large: Callable[[], None]
    """Count a body above the limit."""
    now: Callable[[], float]
    """Seconds, of the event loop's clock."""
    parts_bytes: int = 0
    """Bytes of bodies that have arrived in part."""
    heads: Kept[bytes, int] = field(default_factory=lambda: Kept(KNOWN_HEADS))
    """The length of the body by the head, byte for byte, of requests that were taken: the same bytes mean the same."""

    def remember(self, head: bytes, length: int) -> None:
        """Take a request with this head without parsing and judging it again."""
        if len(head) <= KNOWN_HEAD_BYTES:
            self.heads.keep(head, length)


class Connection(asyncio.Protocol):
    """A sender's connection; also the receiver of llhttp's callbacks (``on_…``)."""

    __slots__ = (
        "_answers_due", "_body", "_body_bytes", "_fed_bytes", "_framing", "_head_bytes", "_headers", "_is_between",
        "_is_in_head", "_is_last", "_is_plain", "_is_refused", "_is_repeated", "_is_retired", "_parser", "_parts_bytes",
        "_requests", "_shared", "_transport", "_url", "alerts_in_a_row", "clients", "deadline", "is_resting", "peer",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._answers_due = 0
        self._is_last = self._is_retired = False
        self._is_between = True
        self._fed_bytes = self._parts_bytes = self._requests = self.alerts_in_a_row = 0
        self.peer = ""
        """Whom it comes from (``to_peer``)."""
        self.clients: bytes | None = None
        """By what it was let in (``accepted_from``)."""
        self.is_resting = False
        """Whether it is between two requests."""
        self.deadline = shared.now() + shared.limits.request_seconds
        """When it is cut unless something happens before."""
        self._begin()

    def _begin(self) -> None:
        """Expect the next request."""
        self._is_in_head = True
        self._is_refused = self._is_plain = self._is_repeated = False
        self._url = self._framing = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: bytes | bytearray = b""
        self._head_bytes = self._body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request, which has its deadline already."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.peer = peer_of(transport)
        self.clients = accepted_from(transport)
        self._shared.connections.add(self, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; what arrived of a request is lost and counted."""
        shared = self._shared
        if shared.connections.remove(self) and self._body_bytes and not (self._is_between or self._is_last):
            shared.refusals.refuse("aborted")
        self._release_parts()
        self._transport = None
        del self._parser  # which holds this object in turn: both go now, not with the next garbage collection

    def data_received(self, data: bytes) -> None:
        """Take a request whose head is known; give anything else to the parser, within the limits."""
        shared = self._shared
        if self.is_resting:
            self.is_resting = False
            end = data.find(b"\r\n\r\n") + 4
            if end > 3 and shared.heads.get(data[:end]) == len(data) - end:
                self._answers_due = 1
                shared.inbox.take_alone(self, data[end:])
                return
            self.deadline = shared.now() + shared.limits.request_seconds
        if self._is_last:
            return
        is_first, requests = self._is_between, self._requests
        self._fed_bytes += len(data)
        self._parse(data)
        if not self._is_between:
            self._watch_size()
        elif self._is_plain and is_first and self._requests == requests + 1:
            head, mark, body = data.partition(b"\r\n\r\n")
            if body and len(body) == self._body_bytes:  # without a body it may be a test
                shared.remember(head + mark, len(body))

    def _parse(self, data: bytes) -> None:
        try:
            while (end := self._feed(data)) is not None:
                data = data[end:]
        except httptools.HttpParserCallbackError as exc:
            self._shared.inbox.fail(exc)
        except httptools.HttpParserError:
            self._end_badly(data)

    def _feed(self, data: bytes) -> int | None:
        """Give bytes to the parser; return where it stopped: behind a head that asks for another protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            if not self._is_repeated:
                self._is_last = True  # CONNECT
                return None
            # llhttp leaves the body to the other protocol: a new parser gets the head without that wish.
            version = self._parser.get_http_version().encode()
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(b"POST / HTTP/%b\r\n%b\r\n" % (version, self._framing))
            return int(exc.args[0])
        return None

    def _watch_size(self) -> None:
        """Look at a request that has not arrived whole."""
        shared = self._shared
        if self._is_in_head:
            if self._fed_bytes > HEAD_LIMIT_BYTES:
                self._end("bad_request", 431, f"The head of a request may have at most {HEAD_LIMIT_BYTES} bytes.\n")
            return
        if self._fed_bytes > shared.limits.request_bytes:
            # It was told that this is too much, and goes on sending.
            self.cut("request_too_large")
            return
        more = len(self._body) - self._parts_bytes
        self._parts_bytes += more
        shared.parts_bytes += more
        if shared.parts_bytes > PARTS_LIMIT_BYTES and self._parts_bytes > SMALL_BYTES:
            self._end("memory", 503, "Too many large requests are incomplete; try again later.\n")

    def _release_parts(self) -> None:
        self._shared.parts_bytes -= self._parts_bytes
        self._parts_bytes = 0

    def _end_badly(self, data: bytes) -> None:
        if data.startswith(TLS_HANDSHAKE):
            self._shared.refusals.refuse("tls_on_plain_port", TLS_HINT)
        self._end("bad_request", 400, "This is not a valid HTTP/1.1 request.\n")

    def _end(self, reason: ReceiverReason, status: int, text: str) -> None:
        """Refuse what cannot be read on; the connection ends with the answer."""
        if not self._is_last:
            self._is_last = True
            self._release_parts()
            self._body = b""
            self._shared.refusals.refuse(reason)
            self._answer(make_answer(status, text))

    def on_message_begin(self) -> None:
        """Expect a request."""
        if self._is_repeated:
            return
        self._is_between = False
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Keep the target, which may come in parts."""
        if self._is_repeated:
            return
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what the judgement of the head needs."""
        if not self._is_in_head:  # a trailer, or a head that is repeated
            return
        self._count_head(len(name) + len(value) + HEADER_COST_BYTES)
        name = name.lower()
        if name in _FRAMING:
            self._framing += b"%b: %b\r\n" % (name, value)
        if name in _JUDGED:
            self._headers[name] = value
        elif name == b"content-length":
            self._is_plain = True
            self._is_refused = len(value) > 15 or int(value) > self._shared.body_limit_bytes
        elif name == b"connection" and self._parser.get_http_version() == "1.0":
            self._headers[name] = value

    def _count_head(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_LIMIT_BYTES:
            self._end("bad_request", 431, f"The head of a request may have at most {HEAD_LIMIT_BYTES} bytes.\n")

    def on_headers_complete(self) -> None:
        """Judge the request before its body is read."""
        if self._is_repeated:
            self._is_repeated = False
            return
        self._is_in_head = False
        if self._is_last:
            return
        headers = self._headers
        refusal = self._shared.admission.judge(self._parser.get_method(), self._url, headers)
        if refusal is not None:
            self._is_refused = True
        elif self._is_refused:
            refusal = self._refuse_large()
        self._is_plain &= not headers and refusal is None and self._shared.admission.asks_for_nothing
        if refusal is not None:
            # A sender that waits for "100 Continue" may leave the body out, or not: the connection ends.
            self._is_last = b"expect" in headers
            self._answer(refusal)
        elif b"expect" in headers and self._transport is not None:
            self._transport.write(CONTINUE)
        # A wish for another protocol may be passed over (RFC 9110, 7.8); what follows CONNECT is no HTTP.
        self._is_repeated = self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body, unless it is refused."""
        self._body_bytes += len(data)
        if self._is_refused or self._is_last:
            return
        if self._body_bytes > self._shared.body_limit_bytes:
            self._is_refused, self._body = True, b""
            self._answer(self._refuse_large())
        elif not self._body:
            self._body = data
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data

    def _refuse_large(self) -> bytes:
        self._shared.too_large()
        return make_answer(
            413, f"A body may have at most {self._shared.body_limit_bytes} bytes (http.body_limit_bytes).\n"
        )

    def on_message_complete(self) -> None:
        """Take the body; the answer comes once every sink has its alerts."""
        if self._is_last or self._is_repeated:
            return
        self._is_between = True
        self._requests += 1
        self._is_last = self._is_retired or not self._parser.should_keep_alive() or b"connection" in self._headers
        if self._parts_bytes:
            self._release_parts()
        if self._is_refused:
            self._settle()
        elif not self._body_bytes and self._shared.admission.asks_for_test(self._url):
            self._answers_due += 1
            self._shared.take_test(self)
        else:
            self._answers_due += 1
            body = self._body
            self._shared.inbox.take(self, body if isinstance(body, bytes) else bytes(body))
        self._body, self._fed_bytes = b"", 0
        self._is_plain &= not self._is_last

    def _settle(self) -> None:
        """A refused request is over, which was answered before."""
        if self._is_last and not self._answers_due and self._transport is not None:
            self._transport.close()
        self._rest_if_answered()

    def _answer(self, answer: bytes) -> None:
        self._answers_due += 1
        self._shared.inbox.answer(self, answer)

    def write_answer(self, answer: bytes) -> None:
        """Send one answer; the last one ends the connection."""
        self._answers_due -= 1
        transport = self._transport
        if transport is None:
            return
        if self._is_last and not self._answers_due:
            transport.write(as_last(answer))
            transport.close()
            return
        transport.write(answer)
        self._rest_if_answered()

    def _rest_if_answered(self) -> None:
        """Rest, unless the next request has begun, which has its own time from here on."""
        if self._answers_due or not (self._is_between or self._is_in_head):
            return
        shared = self._shared
        self.is_resting = self._is_between
        self.deadline = shared.now() + (IDLE_SECONDS if self._is_between else shared.limits.request_seconds)
        shared.connections.renew(self)

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._answers_due > 0

    def pause_writing(self) -> None:
        """Read no more from a peer that does not read its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def cut(self, reason: ReceiverReason) -> None:
        """Close at once."""
        self._is_last = True
        self._shared.connections.remove(self)
        self._shared.refusals.refuse(reason)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close once everything is answered that has arrived."""
        if self._transport is not None and not self._answers_due:
            self._transport.close()
        self._is_last = True

    def retire(self) -> None:
        """Close after the request under way, or now."""
        if self._is_between:
            self.close()
        self._is_retired = True


def cut_overdue(shared: Shared) -> None:
    """Cut every connection whose deadline has passed."""
    now = shared.now()
    overdue = [connection for connection in shared.connections if connection.deadline < now]
    for connection in overdue:
        connection.cut("idle" if connection.is_resting else "request_timeout")
