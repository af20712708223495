"""Incidents in every format: the same story, inert whatever an attacker writes."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt

from exporter.alert import Alert, Priority
from exporter.catalog.advice import PHASES
from exporter.catalog.catalog import load_catalog
from exporter.incidents.batch import join_all
from exporter.incidents.story import Story, story_of
from exporter.incidents.tactics import tactics_by_rule
from exporter.render.incident import (
    INCIDENT_FORMATS,
    to_incident_html,
    to_incident_json,
    to_incident_markdown,
    to_incident_text,
)
from exporter.render.text import COLORS
from exporter.reporter import Reporter
from exporter.verdict.judgement import Judgement
from tests.hostile import hostile_values
from tests.html_structure import Collected
from tools.incidents import stories

REPORTER = Reporter(load_catalog())


NAMED = (
    "proc.name", "proc.cmdline", "proc.exepath", "proc.pname", "user.name", "fd.name", "container.name", "k8s.pod.name",
    "k8s.ns.name", "container.image.repository",
)  # fmt: skip


def attack(_: Alert) -> Judgement:
    return Judgement("attack", "succeeded", ())


def told(alerts: list[Alert], *, judged: bool = False) -> list[Story]:
    catalog = REPORTER.catalog
    judge = attack if judged else catalog.judge.judge
    found = join_all(alerts, 7_200, judge=judge, tactics_of=tactics_by_rule(catalog))
    return [story_of(incident, REPORTER.advice_for) for incident in found]


@cache
def of_stories() -> tuple[Story, ...]:
    return tuple(told([step.alert for story in stories() for step in story.steps]))


@cache
def hostile_story(value: str) -> Story:
    """Two alerts of one container, the value in every field of theirs that is not the container's id."""
    alerts = []
    for number, rule in enumerate(("Terminal shell in container", "Read sensitive file untrusted")):
        fields = dict.fromkeys(NAMED, value)
        fields["container.id"] = "c3d2a90f1b7e"
        time_ns = 1_790_000_000_000_000_000 + number
        alerts.append(Alert(time_ns, rule, Priority.WARNING, "syscall", value, value, fields, (value,)))
    (story,) = told(alerts, judged=True)
    return story


def tags(story: Story) -> list[object]:
    parser = Collected()
    parser.feed(to_incident_html(story).replace(story.incident.id, "ID"))
    parser.close()
    return parser.seen


def test_html_has_no_element_attribute_or_link_of_a_value() -> None:
    """The elements and attributes are those of a harmless incident, for every hostile value."""
    allowed = {(tag, tuple(sorted(attrs))) for tag, attrs in _shapes(hostile_story("x"))}
    for name, value in hostile_values().items():
        if value and "\0" not in value:
            found = {(tag, tuple(sorted(attrs))) for tag, attrs in _shapes(hostile_story(value))}
            assert found <= allowed | {("p", ()), ("p", ("class",)), ("pre", ("class", "data-copy", "dir"))}, name


def _shapes(story: Story) -> list[tuple[str, list[str]]]:
    shapes = []
    for each in tags(story):
        if isinstance(each, tuple):
            assert each[0] not in {"comment", "declaration", "instruction", "unknown", "script", "img", "a"}
            shapes.append((str(each[0]), [str(name) for name, _ in each[1]]))
    return shapes


def test_markdown_has_no_html_link_or_image_of_a_value() -> None:
    """Trackers make neither a link nor a mention of what an attacker wrote."""
    reader = MarkdownIt("gfm-like", {"html": True})
    for name, value in hostile_values().items():
        tokens = reader.parse(to_incident_markdown(hostile_story(value)))
        kinds = {token.type for token in tokens} | {each.type for token in tokens for each in token.children or ()}
        assert not kinds & {"html_block", "html_inline", "link_open", "image"}, name


def test_text_and_json_hold_no_control_character_of_a_value() -> None:
    """A terminal and a program's log get printable characters only."""
    for name, value in hostile_values().items():
        story = hostile_story(value)
        text = re.sub("|".join(map(re.escape, COLORS)), "", to_incident_text(story, color=True))
        assert all(c == "\n" or c.isprintable() for c in text), name
        line = to_incident_json(story)
        assert line[:-1].isascii(), name
        assert line[:-1].isprintable(), name
        assert not set(line) & set("<>&"), name
        json.loads(line)


def test_the_steps_are_in_order_and_none_stands_twice() -> None:
    """Look, keep, contain with what verifies it, recover; the same block never twice."""
    for story in of_stories():
        phases = [PHASES.index(step.phase) for step in story.steps if step.phase != "verify"]
        assert phases == sorted(phases)
        for before, step in pairwise(story.steps):
            assert step.phase != "verify" or before.phase in {"contain", "verify"}
        assert len({step.run for step in story.steps}) == len(story.steps)
        assert story.steps
        assert len(story.steps) <= 24


def test_every_format_names_what_matters() -> None:
    """Verdict, each rule, each alert's uid and the identifier are in every format."""
    for story in of_stories():
        for form in INCIDENT_FORMATS.values():
            text = form.document(story)
            assert story.incident.id in text
            for member in story.incident.members:
                assert member.alert.uid in text


def test_json_lists_each_alert_once() -> None:
    """A program learns which alerts belong together, and finds what people read."""
    documents = [json.loads(to_incident_json(story)) for story in of_stories()]
    uids = [uid for document in documents for moment in document["timeline"] for uid in moment["uids"]]
    assert len(uids) == len(set(uids)) == sum(document["alerts"] for document in documents)
    (web,) = [document for document in documents if "roundcube" in document["title"]["text"]]
    assert web["verdict"] == "attack"
    assert web["attack_chain"][0] == "Execution"
    assert [entity["label"] for entity in web["entities"]][:2] == ["Pod", "Container"]
    assert web["steps"][0]["phase"] == "look"


def test_the_same_alerts_give_the_same_bytes() -> None:
    """Nothing of a document depends on when or how often it is made."""
    alerts = [step.alert for story in stories() for step in story.steps][:40]
    assert [to_incident_json(each) for each in told(alerts)] == [to_incident_json(each) for each in told(alerts[::-1])]
