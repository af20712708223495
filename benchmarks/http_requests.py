"""The posts that a sender sends, made beforehand: alerts as Falco's http_output writes them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator

from exporter.simulator.scenarios import flood

FLOOD_RULES = 23
_MILLISECOND_NS = 1_000_000
_SECOND_NS = 1_000_000_000
_HEAD = (
    "POST / HTTP/1.1\r\nHost: 127.0.0.1:2801\r\nUser-Agent: falcosecurity/falco\r\nAccept: */*\r\n"
    "Content-Type: application/json\r\nContent-Length: "
)


def to_request(body: str) -> bytes:
    """Return one POST as libcurl sends it for Falco."""
    raw = body.encode()
    return f"{_HEAD}{len(raw)}\r\n\r\n".encode() + raw


def bodies_of(numbers: Iterable[int]) -> Iterator[bytes]:
    """Yield the bodies of posts, each with process ids of its own by its number."""
    for number, alert in zip(numbers, flood(sys.maxsize, time.time_ns()), strict=False):
        yield _with_fields(alert.to_json(), _process(number)).encode()


def requests_of(count: int) -> Iterator[bytes]:
    """Yield so many requests, which differ from each other in rule and time only."""
    return (to_request(alert.to_json()) for alert in flood(count, time.time_ns()))


def own_requests_of(numbers: Iterable[int], *, unlike: bool) -> Iterator[bytes]:
    """Yield a request with process ids of its own for each number; with ``unlike`` also a command line and a file."""
    for number, alert in zip(numbers, flood(sys.maxsize, time.time_ns()), strict=False):
        own = {"proc.cmdline": f"curl -sSf http://192.0.2.7/{number}", "fd.name": f"/tmp/.cache/{number}"}
        yield to_request(_with_fields(alert.to_json(), _process(number) | (own if unlike else {})))


def _process(number: int) -> dict[str, object]:
    return {"proc.pid": 10_000 + number, "proc.ppid": 9_000 + number}


def _with_fields(body: str, fields: dict[str, object]) -> str:
    document = json.loads(body)
    document["output_fields"] |= fields
    return json.dumps(document, separators=(",", ":"))


def timed_requests(count: int, end_ns: int) -> Iterator[bytes]:
    """Yield so many requests, a millisecond apart by their times up to ``end_ns``, each with a process id of its own.

    Cheap to make, so that as many as an hour has can be sent as fast as they are taken.
    """
    templates = [_template(alert.to_json()) for alert in flood(FLOOD_RULES, end_ns)]
    moment = end_ns - count * _MILLISECOND_NS
    second, text = -1, b""
    for number in range(count):
        moment += _MILLISECOND_NS
        if moment // _SECOND_NS != second:
            second = moment // _SECOND_NS
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        yield templates[number % FLOOD_RULES] % (1_000_000 + number, text, moment % _SECOND_NS)


def _template(body: str) -> bytes:
    """Return a request with places for a process id of seven digits, a second and its nanoseconds."""
    document = json.loads(body)
    document["output_fields"]["proc.pid"] = 1_000_000
    moment = document["time"]
    raw = to_request(json.dumps(document, separators=(",", ":"))).replace(b"%", b"%%")
    raw = raw.replace(b'"proc.pid":1000000', b'"proc.pid":%07d')
    return raw.replace(f'"time":"{moment}"'.encode(), b'"time":"%s.%09dZ"')
