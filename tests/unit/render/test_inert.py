"""Hostile values in reports: every form is read by its real reader, which finds the author's structure alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from exporter.alert import Alert
from exporter.escaping import valid_text
from exporter.event_sources import EVENT_SOURCES
from exporter.render.document import Length
from exporter.render.html import to_html, to_html_page
from exporter.render.json_document import to_json
from exporter.render.markdown import to_markdown
from exporter.render.pager import LINE_LIMIT_CHARACTERS, to_pager
from exporter.render.text import COLORS, to_text
from exporter.report import Change, Command, Prose, Reference, Report, Span, Technique, make_report
from tests.hostile import hostile_alert, hostile_alerts, hostile_values, huge_values
from tests.html_structure import Collected
from tests.reference import CONTEXT, fixture_entry, judged

ENTRY = fixture_entry()
NAMED = {"proc.name", "proc.exepath", "proc.cmdline", "proc.pname", "user.name", "user.uid", "fd.name", "container.id",
         "container.name", "container.image.repository", "k8s.ns.name", "k8s.pod.name"}  # fmt: skip
REPORTS = [judged(make_report(alert, ENTRY, CONTEXT)) for alert in hostile_alerts()]


def with_advice(**parts: Any) -> Report:
    """The first report with other parts of advice."""
    return Report(REPORTS[0].alert, replace(REPORTS[0].advice, **parts))


def tame_prose(prose: Prose) -> Prose:
    return tuple(span if span.kind == "text" else span._replace(text="x") for span in prose)


def tame(report: Report) -> Report:
    """The same report with every value replaced by a harmless one."""
    alert = report.alert
    # As many facts as before, under the same label or a harmless one.
    fields = {
        name if name in NAMED else f"x{number}": "x" for number, name in enumerate(alert.fields) if alert.get(name)
    }
    source = alert.source if alert.source in EVENT_SOURCES else "x"
    tamed = Alert(alert.time_ns, "x", alert.priority, source, "x" if alert.hostname else "", "x", fields, ("x",))
    advice = report.advice
    return Report(
        tamed,
        replace(
            advice,
            judgement=advice.judgement._replace(
                signs=tuple(sign._replace(text=tame_prose(sign.text)) for sign in advice.judgement.signs)
            ),
            what=tame_prose(advice.what),
            unknown=tuple(map(tame_prose, advice.unknown)),
            close_if=tame_prose(advice.close_if),
            escalate_if=tame_prose(advice.escalate_if),
            summary=tame_prose(advice.summary),
            impact=tame_prose(advice.impact),
            commands=tuple(each._replace(title=tame_prose(each.title), run="x") for each in advice.commands),
            changes=tuple(each._replace(title=tame_prose(each.title), content="x") for each in advice.changes),
            tuning=tuple(each._replace(title=tame_prose(each.title), content="x") for each in advice.tuning),
        ),
    )


def html_structure(report: Report, write: Callable[[Report], str]) -> list[object]:
    parser = Collected()
    parser.feed(write(report).replace(report.alert.uid, "UID"))
    parser.close()
    return parser.seen


@pytest.mark.parametrize("write", [to_html, to_html_page, partial(to_html, length=Length.BRIEF)])
def test_html_has_the_authors_elements_alone(write: Callable[[Report], str]) -> None:
    """No value adds an element, an attribute, a comment or a link to the page."""
    for report in REPORTS:
        assert html_structure(report, write) == html_structure(tame(report), write)


MARKDOWN = MarkdownIt("gfm-like", {"html": True})


def markdown_structure(
    report: Report, length: Length = Length.FULL
) -> tuple[list[str], list[str | int | float | None]]:
    tokens = MARKDOWN.parse(to_markdown(report, length))
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {child.type for child in inline}
    assert kinds <= {
        "text", "text_special", "code_inline", "strong_open", "strong_close", "em_open", "em_close", "hardbreak",
        "link_open", "link_close", "softbreak",
    }  # fmt: skip
    return [f"{token.type} {token.tag}" for token in tokens], [
        child.attrs.get("href") for child in inline if child.type == "link_open"
    ]


def test_markdown_has_the_authors_structure_alone() -> None:
    """No value adds a block, a link, an image or HTML, with links by mere address switched on."""
    for report in REPORTS:
        blocks, links = markdown_structure(report)
        assert blocks == markdown_structure(tame(report))[0]
        assert links == [reference.url for reference in report.advice.references]
        assert markdown_structure(report, Length.BRIEF) == (markdown_structure(tame(report), Length.BRIEF)[0], [])


@pytest.mark.parametrize("color", [False, True])
def test_text_holds_no_control_sequence_but_our_own(color: bool) -> None:
    """A terminal gets printable characters, line feeds and, on request, sequences of ours."""
    for report in REPORTS:
        text = to_text(report, color=color)
        if color:
            text = re.sub("|".join(map(re.escape, COLORS)), "", text)
        assert all(c == "\n" or c.isprintable() for c in text)


@pytest.mark.parametrize("width", [40, 80, 100])
def test_text_keeps_within_its_width(width: int) -> None:
    """Prose is wrapped; only what is to be copied and single long words go beyond."""
    report = REPORTS[0]
    advice = report.advice
    blocks = [f"{change.content}\n{change.check}\n{change.load}" for change in (*advice.changes, *advice.tuning)]
    blocks += [f"{command.run}\n{command.undo}" for command in advice.commands]
    copied = {line.strip() for block in blocks for line in block.split("\n")}
    for line in to_text(report, width=width).split("\n"):
        assert len(line) <= width or line.strip() in copied or len(line.split()[-1]) > width - 25


def test_a_pager_gets_three_short_lines() -> None:
    """Whatever the alert holds, a pager gets three printable lines, each cut to its limit."""
    for report in REPORTS:
        lines = to_pager(report, times=2, link="https://falco.example/reports/" + report.alert.uid).split("\n")
        assert len(lines) == 4
        assert lines.pop() == ""
        assert all(line.isprintable() and line for line in lines)
        assert all(len(line) <= LINE_LIMIT_CHARACTERS for line in lines[:2])
        assert lines[0].startswith("LOOKS LIKE A TEST, confirm, then close: ")
        assert lines[2].endswith(report.alert.uid)


def test_json_holds_the_values_and_nothing_a_page_or_terminal_reads() -> None:
    """JSON gives back every value, and is ASCII without markup or control characters."""
    for report in REPORTS:
        line = to_json(report)
        assert line.endswith("\n")
        assert line[:-1].isascii()
        assert line[:-1].isprintable()
        assert not set(line) & set("<>&")
        document = json.loads(line)
        assert document["fields"] == {valid_text(k): valid_text(v) for k, v in report.alert.fields.items()}
        assert document["rule"] == valid_text(report.alert.rule)


def test_commands_run_with_the_value_as_one_word() -> None:
    """The report's commands, run by bash with harmless stand-ins, get the value as one unchanged word."""
    stand_ins = 'stat() { [ "$1" = -- ] && shift; printf \'%s\\0\' "$@"; }; journalctl() { :; }; grep() { :; }\n'
    stand_ins += "docker() { shift; printf '%s\\0' \"$@\"; }\n"
    values = [value for value in hostile_values().values() if value not in {"", "\0"}]
    script, expected = stand_ins, []
    for value in values:
        report = make_report(hostile_alert(value), ENTRY, CONTEXT)
        for command in report.advice.commands:
            script += f"{command.run}\n"
            if not command.run.startswith("journalctl"):
                expected.append(value)
            if command.undo:
                script += f"{command.undo}\n"
                expected.append(value)
    done = subprocess.run(
        [shutil.which("bash") or "bash", "--norc", "--noprofile"],
        input=script.encode(),
        capture_output=True,
        check=True,
        cwd="/",
        env={"PATH": "/nonexistent", "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == b""
    assert done.stdout.decode().split("\0")[:-1] == expected
    assert len(expected) > 100


def test_tuning_loads_as_one_macro_with_the_value() -> None:
    """Falco's YAML with a value in it is one macro whose condition holds the value as one string."""
    loaded = 0
    for report in REPORTS:
        for change in report.advice.tuning:
            (macro,) = yaml.safe_load(change.content)
            assert set(macro) == {"macro", "condition", "override"}
            value = report.alert.get("proc.name") or ""
            literal = json.dumps(value, ensure_ascii=False)
            if value.endswith("\\"):
                # Falco takes a backslash before the closing quote for its escape: its own rules put a space between.
                literal = literal.removesuffix('\\"') + ' "'
            assert macro["condition"] == f"(proc.name = {literal} and fd.name = {literal})"
            loaded += 1
    assert loaded > 50


@pytest.mark.parametrize("name", huge_values())
def test_huge_values_are_cut(name: str) -> None:
    """A megabyte in every field makes a report that can still be read, with the rest counted."""
    report = make_report(hostile_alert(huge_values()[name]), ENTRY, CONTEXT)
    for text in (to_markdown(report), to_text(report), to_html(report)):
        assert len(text) < 250_000
        assert "more characters" in text
    assert html_structure(report, to_html) == html_structure(tame(report), to_html)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a.example/)[x](javascript:y)", "https://a\" onclick='x"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    """A reference whose address is none of the web's is shown, not linked."""
    report = with_advice(references=(Reference("[t](u) <b>", url),))
    links = [each for each in markdown_structure(report)[1] if each]
    anchors = [
        attrs
        for tag, attrs in [each for each in html_structure(report, to_html) if isinstance(each, tuple)]
        if tag == "a" and ("rel", "noopener noreferrer") in attrs
    ]
    assert len(links) == len(anchors) == url.startswith("https://a.example")
    assert all(str(link).startswith("https://a.example/") for link in links)


def test_author_texts_from_an_overlay_are_escaped_too() -> None:
    """An operator's own entry cannot break a page by mistake either."""
    value = "</code><script>`**x** \x1b[31m"
    span = (Span("code", value), Span("value", value), Span("text", value))
    report = with_advice(
        techniques=(Technique(value, value, value, value),),
        commands=(Command(span, "look", value, "sh", "x", span, span, span, "", span, value),),
        changes=(Change(span, value, value, value, value, value, value, span),),
        references=(),
    )
    assert "<script>" not in to_html(report)
    assert markdown_structure(report)[1] == []
    assert "\x1b" not in to_text(report)
