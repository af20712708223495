"""Masking fields and patterns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.alert import Alert, Priority
from exporter.config.model import Redaction
from exporter.errors import ConfigError
from exporter.redaction import MASK, make_redaction
from tests.hostile import hostile_alerts


def make_alert(output: str = "", **fields: str) -> Alert:
    raw = {name.replace("__", "."): value for name, value in fields.items()}
    return Alert(1, "A rule", Priority.WARNING, "syscall", "node-1", output, raw, ("a",))


def redact(alert: Alert, *, fields: tuple[str, ...] = (), patterns: tuple[str, ...] = ()) -> Alert:
    redaction = make_redaction(Redaction(fields=fields, patterns=patterns))
    assert redaction is not None
    return redaction(alert)


def test_nothing_is_done_where_nothing_is_set() -> None:
    """Without settings the pipeline has no transformation at all."""
    assert make_redaction(Redaction()) is None


def test_a_named_field_is_masked_wherever_it_stands() -> None:
    """The field's value goes, in the fields and in the output text, and so does every index of it."""
    alert = make_alert(
        "18:29:39.273467556: Warning Run | cmd=curl -u bob:hunter2 user=bob",
        proc__cmdline="curl -u bob:hunter2",
        user__name="bob",
    )
    masked = redact(alert, fields=("proc.cmdline",))
    assert masked.get("proc.cmdline") == MASK
    assert masked.output == f"Run | cmd={MASK} user=bob"
    assert masked.get("user.name") == "bob"
    assert (
        redact(Alert(1, "r", Priority.DEBUG, "s", "h", "o", {"proc.aname[2]": "x"}, ()), fields=("proc.aname",)).get(
            "proc.aname[2]"
        )
        == MASK
    )


def test_the_message_that_an_alert_came_in_goes_with_what_it_told() -> None:
    """Where anything was masked nothing keeps the original; where nothing was, the alert stays as it is."""
    alert = replace(make_alert("cmd=secret", proc__cmdline="secret"), received=b"cmd=secret")
    assert redact(alert, fields=("proc.cmdline",)).received == b""
    assert redact(alert, patterns=("secret",)).received == b""
    assert redact(alert, fields=("fd.name",)) is alert


def test_a_short_value_is_masked_as_a_whole_word() -> None:
    """A user id of 0 does not take the zeros out of other numbers."""
    masked = redact(make_alert("uid=0 port=8080 (0)", user__uid="0"), fields=("user.uid",))
    assert masked.output == f"uid={MASK} port=8080 ({MASK})"


def test_an_absent_value_stays_absent() -> None:
    """``<NA>`` tells nothing and keeps its meaning."""
    masked = redact(make_alert("file=<NA>", fd__name="<NA>"), fields=("fd.name",))
    assert masked.get("fd.name") is None
    assert masked.output == "file=<NA>"


def test_a_pattern_is_masked_in_every_value_and_in_the_output() -> None:
    """Only what matches goes; time and priority before the output do not count as output."""
    alert = make_alert("18:29:39.273467556: Warning token=AKIA1234 x", proc__cmdline="aws AKIA1234", fd__name="/x")
    masked = redact(alert, patterns=(r"AKIA\d+", r"\d{2}:\d{2}"))
    assert masked.output == f"token={MASK} x"
    assert masked.get("proc.cmdline") == f"aws {MASK}"
    assert masked.get("fd.name") == "/x"


def test_an_alert_without_a_secret_is_the_same_alert() -> None:
    """No copy is made, and the uid stays."""
    alert = make_alert("18:29:39.273467556: Warning fine", proc__name="sh")
    assert redact(alert, fields=("user.email",), patterns=("secret",)) is alert


def test_rule_priority_source_host_and_tags_stay() -> None:
    """Every metric is made of them."""
    masked = redact(make_alert("A rule", proc__name="A rule"), fields=("proc.name",))
    assert (masked.rule, masked.priority, masked.source, masked.hostname, masked.tags) == (
        "A rule",
        Priority.WARNING,
        "syscall",
        "node-1",
        ("a",),
    )


def test_what_is_no_regular_expression_is_refused() -> None:
    """The message names the setting and the pattern."""
    with pytest.raises(ConfigError, match=r"redaction\.patterns: '\(' is no regular expression"):
        make_redaction(Redaction(patterns=("(",)))


def test_hostile_values_are_masked_in_fields_and_output() -> None:
    """No value escapes by holding characters that mean something to a regular expression."""
    for alert in hostile_alerts():
        value = alert.fields["proc.name"]
        masked = redact(alert, fields=("proc.name",))
        assert masked.get("proc.name") == MASK
        if len(value) >= 4:
            assert value not in masked.output
