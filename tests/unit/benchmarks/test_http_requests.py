"""Posts made for measurements are alerts that the exporter takes."""

from __future__ import annotations

from benchmarks.http_requests import timed_requests
from exporter.sources.decode import from_received

END_NS = 1_764_400_000_001_456_789


def test_timed_requests_are_a_millisecond_apart_and_all_unlike() -> None:
    """The last one is at the end, lengths are right, process ids differ."""
    requests = list(timed_requests(50, END_NS))
    heads, bodies = zip(*[request.split(b"\r\n\r\n") for request in requests], strict=True)
    alerts = [from_received(body) for body in bodies]
    assert [alert.time_ns for alert in alerts] == [END_NS - 1_000_000 * back for back in range(49, -1, -1)]
    assert len({alert.all_fields()["proc.pid"] for alert in alerts}) == 50
    assert all(b"Content-Length: %d" % len(body) in head for head, body in zip(heads, bodies, strict=True))
