"""What a body may hold, and what is answered to one that holds no alert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.config.model import FalcoHttp
from tests.integration.falco_http.receiver import (
    ALERT,
    FALCO_HEADERS,
    Receiver,
    open_socket,
    receiving,
    request,
    statuses,
)

CAPTURES = Path(__file__).parents[2] / "captures"


def test_real_bodies_are_taken_on_one_connection(receiver: Receiver) -> None:
    """Every alert that Falco 0.43.1 posted gives 200 and arrives."""
    bodies = (CAPTURES / "alerts.jsonl").read_bytes().splitlines()
    connection = receiver.connect()
    for body in bodies:
        connection.request("POST", "/", body, FALCO_HEADERS)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    connection.close()
    assert [alert.rule for alert in receiver.kept.alerts] == [json.loads(body)["rule"] for body in bodies]


def test_falcosidekicks_form_is_the_same_alert(receiver: Receiver) -> None:
    """A uuid and ``syscalls`` as source change nothing."""
    assert receiver.post(json.dumps(ALERT))[0] == 200
    assert receiver.post(json.dumps(ALERT | {"uuid": "6f1e", "source": "syscalls"}))[0] == 200
    first, second = receiver.kept.alerts
    assert first == second


def test_a_text_body_names_the_setting_to_change(receiver: Receiver) -> None:
    """With json_output off Falco posts text: 400, saying which Falco setting to change."""
    status, text, _ = receiver.post("12:00:00.0: Notice x", **{"Content-Type": "text/plain"})
    assert status == 400
    assert "json_output: true" in text
    assert receiver.errors("text") == 1
    assert receiver.kept.alerts == []


@pytest.mark.parametrize(
    ("change", "field"), [({"rule": None}, "rule"), ({"time": "x"}, "time"), ({"tags": 5}, "tags")]
)
def test_a_wrong_member_is_named(receiver: Receiver, change: dict[str, object], field: str) -> None:
    """400 names the JSON member that is wrong."""
    status, text, _ = receiver.post(json.dumps(ALERT | change))
    assert status == 400
    assert field in text


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (b"\n".join([json.dumps(ALERT).encode()] * 3), 3),
        (b"\r\n\r\n".join([json.dumps(ALERT).encode()] * 3) + b"\r\n", 3),
        (json.dumps([ALERT, ALERT]).encode(), 2),
        (b"  " + json.dumps([ALERT, ALERT], indent=2).encode(), 2),
        (json.dumps(ALERT, indent=2).encode(), 1),
        (b"\xef\xbb\xbf" + json.dumps(ALERT).encode(), 1),
        (b"\xef\xbb\xbf" + json.dumps([ALERT]).encode(), 1),
    ],
)
def test_a_body_may_hold_several_alerts(receiver: Receiver, body: bytes, taken: int) -> None:
    """A line each, an array, or one document over several lines; each alert keeps its own message."""
    assert receiver.post(body)[0] == 200
    assert len(receiver.kept.alerts) == taken
    assert len({alert.uid for alert in receiver.kept.alerts}) == 1
    assert all(json.loads(alert.received) == ALERT for alert in receiver.kept.alerts)
    assert receiver.received() == taken


def test_of_several_alerts_the_bad_ones_are_said(receiver: Receiver) -> None:
    """The good ones are taken, each bad one counts by its reason, and the answer says both."""
    good = json.dumps(ALERT)
    status, text, _ = receiver.post("\n".join([good, '{"rule": 5}', "12:00:00.1: Notice x", good]))
    assert status == 400
    assert "2 of 4 alerts were taken" in text
    assert len(receiver.kept.alerts) == 2
    assert (receiver.errors("bad_rule"), receiver.errors("text"), receiver.received()) == (1, 1, 4)


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (b"", "empty", "empty"),
        (b"\n \r\n", "empty", "empty"),
        (b"\xff\xfe{\x00", "malformed", "byte order mark"),
        (b'{"rule": ' + b"[" * 500_000, "nested", "64"),
        (b"[]", "malformed", "expected one JSON object"),
    ],
)
def test_a_body_that_holds_no_alert_is_named(receiver: Receiver, body: bytes, reason: str, words: str) -> None:
    """400 says what was found; the next alert on the connection is taken."""
    status, text, _ = receiver.post(body) if len(body) < 100_000 else receiver.post(body[:90_000])
    assert status == 400
    assert words in text
    assert receiver.errors(reason) == 1
    assert receiver.post(json.dumps(ALERT))[0] == 200


def test_a_text_body_is_said_in_the_log(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Falco looks at no answer, so the log names the setting in falco.yaml; once, whatever the number of alerts."""
    for _ in range(3):
        receiver.post("12:00:00.000000001: Notice x", **{"Content-Type": "text/plain"})
    lines = [record.getMessage() for record in caplog.records if "json_output: true" in record.getMessage()]
    assert len(lines) == 1
    assert "falco.yaml" in lines[0]


@pytest.mark.parametrize("allowed", [False, True])
def test_a_test_alert_is_made_where_it_is_allowed(allowed: bool) -> None:
    """POST /test without a body, as with falcosidekick; with a body it is an alert like any other."""
    with receiving(FalcoHttp(address="127.0.0.1:0", test_alerts=allowed)) as receiver:
        status, text, _ = receiver.post(b"", "/test")
        assert status == (200 if allowed else 403)
        assert "http.test_alerts" in text or receiver.kept.alerts[0].uid in text
        assert receiver.received() == allowed
        assert receiver.post(json.dumps(ALERT), "/test")[0] == 200
        assert [alert.rule for alert in receiver.kept.alerts] == (
            ["Test alert of falco-report-exporter"] if allowed else []
        ) + ["R"]


def test_each_test_on_one_connection_is_a_test(receiver: Receiver) -> None:
    """The second one has the same head as the first, and is answered as it was."""
    with open_socket(receiver) as connection:
        for _ in range(3):
            connection.sendall(request(b"", path="/test"))
            assert statuses(connection, 1) == [403]
    assert receiver.errors("empty") == 0
