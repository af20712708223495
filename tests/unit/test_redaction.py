"""Masking fields and patterns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.alert import Alert, Priority
from exporter.config.model import Redaction
from exporter.errors import ConfigError
from exporter.redaction import MASK, make_redaction
from exporter.sources.decode import from_json
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
    """It can hold what no field shows (a key given twice, members that nobody reads): it is never kept."""
    alert = replace(make_alert("cmd=secret", proc__cmdline="secret"), received=b"cmd=secret")
    assert redact(alert, fields=("proc.cmdline",)).received == b""
    assert redact(alert, patterns=("secret",)).received == b""
    untouched = redact(alert, fields=("fd.name",))
    assert (untouched, untouched.raw_output, untouched.received) == (alert, alert.raw_output, b"")


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
    """Nothing that is shown changes, and the uid stays."""
    alert = make_alert("18:29:39.273467556: Warning fine", proc__name="sh")
    masked = redact(alert, fields=("user.email",), patterns=("secret",))
    assert (masked, masked.raw_output, masked.all_fields()) == (alert, alert.raw_output, alert.all_fields())


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
    with pytest.raises(ConfigError, match=r"redaction\.patterns: '\(' is not a valid regular expression"):
        make_redaction(Redaction(patterns=("(",)))


def test_hostile_values_are_masked_in_fields_and_output() -> None:
    """No value escapes by holding characters that mean something to a regular expression."""
    for alert in hostile_alerts():
        value = alert.fields["proc.name"]
        masked = redact(alert, fields=("proc.name",))
        assert masked.get("proc.name") == MASK
        if len(value) >= 4:
            assert value not in masked.output


@pytest.mark.parametrize("field", ["tolower(proc.cmdline)", "toupper(tolower(proc.cmdline))", "b64(proc.cmdline[2])"])
def test_naming_a_field_names_what_falco_makes_of_it(field: str) -> None:
    """Falco's transformers have names of their own, which hold the same secret; they can be named as well."""
    alert = Alert(1, "r", Priority.DEBUG, "s", "h", "cmd=hunter2", {field: "hunter2"}, ())
    for named in ("proc.cmdline", field):
        masked = redact(alert, fields=(named,))
        assert (masked.get(field), masked.output) == (MASK, f"cmd={MASK}")
    assert redact(alert, fields=("proc.name",)).get(field) == "hunter2"


def test_a_pattern_is_masked_in_the_names_of_fields() -> None:
    """``json.value[/users/alice@example.com]`` tells as much as a value does; no field is lost by it."""
    names = ("json.value[/u/alice@example.com]", "json.value[/u/bob@example.com]")
    alert = Alert(1, "r", Priority.DEBUG, "s", "h", "", dict.fromkeys(names, "x"), ())
    masked = redact(alert, patterns=(r"\w+@[\w.]+",)).all_fields()
    assert masked == {f"json.value[/u/{MASK}]": "x", f"json.value[/u/{MASK}] 2": "x"}


def test_nothing_of_the_message_is_kept_for_the_queue() -> None:
    """Members that we do not read, a ``message`` that differs and a doubled key would wait on disk in clear."""
    body = (
        b'{"time": "2026-01-31T12:00:00Z", "rule": "R", "priority": "Notice", "output": "fine", "password": "hunter2",'
        b' "message": "hunter2", "output_fields": {"proc.cmdline": "hunter2", "proc.cmdline": "fine"}}'
    )
    masked = redact(from_json(body), patterns=("hunter2",))
    assert masked.received == b""
    assert "hunter2" not in f"{masked.raw_output} {masked.all_fields()}"


def test_the_longest_secret_is_masked_first() -> None:
    """A secret that holds another leaves nothing of itself behind."""
    alert = make_alert("token=alpha-beta-gamma and beta", proc__args="beta", proc__cmdline="alpha-beta-gamma")
    masked = redact(alert, fields=("proc.args", "proc.cmdline"))
    assert masked.output == f"token={MASK} and {MASK}"


def test_a_value_of_four_characters_is_masked_inside_words() -> None:
    """Shorter ones are masked as whole words only."""
    assert (
        redact(make_alert("xabcdx abc xabcx", a="abcd", b="abc"), fields=("a", "b")).output == f"x{MASK}x {MASK} xabcx"
    )


def test_three_fields_that_are_masked_alike_stay_three() -> None:
    """Each gets a name of its own, counted from 2."""
    alert = Alert(1, "r", Priority.DEBUG, "s", "h", "o", {"k1": "a", "k2": "b", "k3": "c"}, ())
    masked = redact(alert, patterns=("[0-9]",))
    assert list(masked.all_fields()) == [f"k{MASK}", f"k{MASK} 2", f"k{MASK} 3"]


def test_naming_a_field_names_every_depth_of_its_index() -> None:
    """Up to the first bracket: an index may hold brackets itself."""
    alert = Alert(1, "r", Priority.DEBUG, "s", "h", "o", {"json.value[/a[0]]": "x"}, ())
    assert redact(alert, fields=("json.value",)).get("json.value[/a[0]]") == MASK
