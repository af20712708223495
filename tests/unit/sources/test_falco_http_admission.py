"""Which requests are taken, by their head; what is refused, and what of it is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.config.model import FalcoHttp
from exporter.sources.falco_http_admission import Admission, ReceiverReason, Refusals, to_path


class Bench:
    """An admission, with what it refused and a clock."""

    def __init__(
        self,
        authorization: bytes | None = None,
        path: bytes | None = None,
        *,
        settings: FalcoHttp = FalcoHttp(),  # noqa: B008
    ) -> None:
        self.now = 1_000.0
        self.rejected: list[ReceiverReason] = []
        self.refusals = Refusals("mine", self.rejected.append, lambda: self.now)
        self.admission = Admission(settings, lambda: authorization, lambda: path, self.refusals)

    def judge(
        self, method: bytes = b"POST", url: bytes = b"/", headers: Mapping[bytes, bytes] | None = None
    ) -> tuple[int, str] | None:
        """Return status and text, or None."""
        answer = self.admission.judge(method, url, headers or {})
        if answer is None:
            return None
        head, _, text = answer.partition(b"\r\n\r\n")
        self.head = head.decode()
        return int(head.split()[1]), text.decode()


def test_a_post_is_taken_on_any_path() -> None:
    """Where nothing is asked for; nothing is counted."""
    bench = Bench()
    for url in (b"/", b"/falco", b"/x?y", b"*"):
        assert bench.judge(url=url) is None
    assert bench.admission.asks_for_nothing
    assert bench.rejected == []


@pytest.mark.parametrize("url", [b"/healthz", b"/ping", b"/healthz?x", b"http://h/ping"])
def test_probes_are_answered(url: bytes) -> None:
    """Without a secret, and not kept by caches; HEAD has no text."""
    bench = Bench(b"Bearer x", b"/secret")
    assert bench.judge(b"GET", url) == (200, "ok\n")
    assert "Cache-Control: no-store" in bench.head
    assert "Server: falco-report-exporter" in bench.head
    assert bench.judge(b"HEAD", url) == (200, "")
    assert bench.rejected == []


@pytest.mark.parametrize(
    ("method", "url"), [(b"GET", b"/"), (b"PUT", b"/"), (b"DELETE", b"/healthz"), (b"get", b"/ping")]
)
def test_other_methods_are_refused(method: bytes, url: bytes) -> None:
    """With the one that is allowed; a probe is GET or HEAD."""
    bench = Bench()
    found = bench.judge(method, url)
    assert found is not None
    assert found[0] == 405
    assert "Allow: POST" in bench.head
    assert bench.rejected == ["method"]


@pytest.mark.parametrize("header", [b"origin", b"sec-fetch-site"])
def test_web_pages_are_refused(header: bytes) -> None:
    """Whatever the header's value, before any secret is asked for."""
    bench = Bench(b"Bearer x")
    found = bench.judge(headers={header: b""})
    assert found is not None
    assert found[0] == 403
    assert bench.rejected == ["cross_site"]
    assert bench.refusals.warnings() == {}


def test_a_secret_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """Wrong, missing and odd ones are refused; which setting of Falco's to change is said."""
    bench = Bench(b"Bearer secret")
    assert not bench.admission.asks_for_nothing
    assert bench.judge(headers={b"authorization": b"Bearer secret"}) is None
    headers: list[dict[bytes, bytes]] = [{}, {b"authorization": b"Bearer other"}, {b"authorization": b"\xff"}]
    for given in headers:
        found = bench.judge(headers=given)
        assert found is not None
        assert found[0] == 401
        assert 'WWW-Authenticate: Basic realm="falco-report-exporter", charset="UTF-8"' in bench.head
    assert bench.rejected == ["unauthorized"] * 3
    [message] = caplog.messages
    assert message == (
        "mine: an alert was refused and is lost (unauthorized): set http_output.url in falco.yaml "
        "to http://USER:PASSWORD@HOST:PORT/ with the user of http.basic_auth_user"
    )
    token = Bench(b"Bearer x", settings=FalcoHttp(bearer_token_file=Path("/token")))
    token.judge()
    assert token.refusals.warnings()["unauthorized"] == (
        "alerts are refused and lost; http.bearer_token_file is set, and Falco cannot send a token; "
        "use http.path_file or mutual TLS (http.tls.client_ca_file) instead"
    )


def test_a_path_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """And ``/test`` below it."""
    bench = Bench(path=b"/secret")
    assert not bench.admission.asks_for_nothing
    for url in (b"/secret", b"/secret?x", b"/secret/test", b"http://h/secret"):
        assert bench.judge(url=url) is None
    for url in (b"/", b"/secret2", b"/test", b"/secre", b"*"):
        found = bench.judge(url=url)
        assert found is not None
        assert found[0] == 404
    assert bench.rejected == ["wrong_path"] * 5
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith(
        "(wrong_path): set the path of http_output.url in falco.yaml to the one of http.path or http.path_file"
    )


@pytest.mark.parametrize(
    ("path", "url", "is_test"),
    [
        (None, b"/test", True),
        (None, b"/x/test", False),
        (b"/secret", b"/secret/test", True),
        (b"/secret/", b"/secret/test?x", True),
        (b"/secretX", b"/secretX/test", True),
        (b"/secret", b"/test", False),
        (b"/", b"/test", True),
    ],
)
def test_where_a_test_alert_is_asked_for(path: bytes | None, url: bytes, is_test: bool) -> None:
    """Below the path that is expected, where one is."""
    assert Bench(path=path).admission.asks_for_test(url) == is_test


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (b"/a?b?c", b"/a"),
        (b"/", b"/"),
        (b"http://h/a?b", b"/a"),
        (b"http://h", b""),
        (b"*", b"*"),
        (b"\xff", b""),
        (b"//h/a", b"//h/a"),
        (b"/a#b", b"/a#b"),
    ],
)
def test_the_path_of_a_target(url: bytes, path: bytes) -> None:
    """Whatever stands there."""
    assert to_path(url) == path


def test_refusals_are_counted_logged_and_remembered(caplog: pytest.LogCaptureFixture) -> None:
    """Each counts; of a kind one a minute is logged, and it is shown for ten minutes after the last."""
    bench = Bench()
    bench.refusals.refuse("memory")
    assert (bench.rejected, caplog.messages, bench.refusals.warnings()) == (["memory"], [], {})
    for later in (0.0, 59.0, 2.0):
        bench.now += later
        bench.refusals.refuse("wrong_path", "do it")
    assert caplog.messages == ["mine: an alert was refused and is lost (wrong_path): do it"] * 2
    assert bench.rejected == ["memory"] + ["wrong_path"] * 3
    bench.refusals.refuse("unauthorized", "do that")
    assert caplog.messages[2:] == ["mine: an alert was refused and is lost (unauthorized): do that"]
    del bench.refusals._noticed["unauthorized"]
    bench.now += 599.0
    assert bench.refusals.warnings() == {"wrong_path": "alerts are refused and lost; do it"}
    bench.now += 1.0
    assert bench.refusals.warnings() == {}
