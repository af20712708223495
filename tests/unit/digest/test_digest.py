"""The digest counts what the history has, and says it the same way each time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from exporter.catalog.shipped import ShippedCatalog
from exporter.digest.digest import Digest, knowledge_of, make_digest
from exporter.digest.formats import DIGEST_FORMATS
from exporter.digest.html import HEIGHT, WIDTH, Piece, to_html
from exporter.digest.words import compared, headline
from exporter.history.history import History
from exporter.times import time_from_text
from tests.history_site import alert_of, filled, make_sink, verdict_of
from tests.hostile import hostile_values

HOUR_NS = 3_600_000_000_000
NOW_NS = 1_780_000_000_000_000_000 // HOUR_NS * HOUR_NS
DAY_NS = 24 * HOUR_NS


def at(hours_ago: float, number: int = 1, **members: object):  # type: ignore[no-untyped-def]
    return alert_of(number, time_ns=NOW_NS - int(hours_ago * HOUR_NS), **members)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Two days: rules that stay, come, grow and go, one of them noisy at one place."""
    alerts = [at(47.9, rule="Stays")]
    alerts += [at(24.1 + n / 10, n, rule="Grows") for n in range(5)] + [
        at(n / 10 + 0.1, n, rule="Grows") for n in range(40)
    ]
    alerts += [at(30, n, rule="Went") for n in range(3)] + [at(3 + n, n, rule="Stays") for n in range(2)]
    alerts += [at(5, 7 * n, rule="Came", fields={"k8s.pod.name": "api", "k8s.ns.name": "web"}) for n in range(1, 4)]
    alerts += [at(6 + n / 100, 1, rule="Noisy", hostname=f"h{n % 10 // 9}") for n in range(50)]
    sink = make_sink(tmp_path_factory.mktemp("digest"))
    sink.start()
    filled(sink, alerts)
    yield sink.history
    sink.close(5)


def made(history: History, since_ns: int = NOW_NS - DAY_NS) -> Digest:
    known = replace(knowledge_of(ShippedCatalog(), 7_200), judge=verdict_of)
    return make_digest(history, since_ns, NOW_NS, known)


def test_what_fired_came_grew_and_went_is_told_apart(history: History) -> None:
    digest = made(history)
    lines = {line.rule: line for line in digest.rules}
    assert {rule: (line.alerts, line.before) for rule, line in lines.items()} == {
        "Grows": (40, 5), "Noisy": (50, 0), "Came": (3, 0), "Stays": (2, 1),
    }  # fmt: skip
    assert [line.rule for line in digest.rules] == ["Noisy", "Grows", "Came", "Stays"]
    assert [line.rule for line in digest.new] == ["Noisy", "Came"]
    assert [line.rule for line in digest.grown] == ["Grows"]
    assert digest.silent == [("Went", 3)]
    assert (digest.alerts, digest.before) == (95, 9)
    counted = sum(verdict_of(alert_of(n)).verdict == "attack" for n in range(40)) + 3 + 1
    assert digest.verdicts["attack"] == counted
    assert sum(sum(bar.verdicts.values()) for bar in digest.bars) == 95
    assert [(each.rule, each.place, round(each.share, 2)) for each in digest.noise] == [("Noisy", "h0", 0.9)]
    attacks = [incident for incident in digest.incidents if incident.verdict == "attack"]
    assert digest.incidents[: len(attacks)] == attacks  # the gravest first
    assert attacks


def test_without_a_time_before_nothing_is_called_new(history: History) -> None:
    digest = made(history, NOW_NS - 40 * HOUR_NS)
    assert digest.before is None
    assert list(digest.new) == list(digest.grown) == list(digest.silent) == []
    assert "does not reach back" in DIGEST_FORMATS["markdown"][2](digest)


def test_the_same_history_gives_the_same_bytes(history: History) -> None:
    for _, _, write in DIGEST_FORMATS.values():
        first = write(made(history)).encode()
        assert write(made(history)).encode() == first


def test_a_quiet_time_says_so(history: History) -> None:
    digest = make_digest(history, 1, 2, knowledge_of(ShippedCatalog(), 0))
    assert headline(digest) == "There were no alerts in this period."
    for _, _, write in DIGEST_FORMATS.values():
        assert write(digest)


def test_what_the_exporter_lost_is_told(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    lost = {"log records dropped before they were sent": 3.0}
    sink._losses = lambda: lost
    sink.start()
    filled(sink, [alert_of(1)])
    sink.close(5)
    lost["log records dropped before they were sent"] = 5.0
    again = make_sink(tmp_path)
    again._losses = lambda: lost
    again.start()
    again.close(5)
    found = again.history.losses(0, 2**63 - 1)
    # A new process counts from 0: all of its five are new.
    assert found == {"log records dropped before they were sent": 8}


def test_hostile_values_stay_values_in_every_format(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.start()
    texts = hostile_values().values()
    alerts = [
        at(1, n, rule=text, hostname=text, source=text, fields={"k8s.pod.name": text, "user.name": text})
        for n, text in enumerate(texts)
        for _ in range(2)
    ]
    try:
        digest = made(filled(sink, alerts))
        page = DIGEST_FORMATS["html"][2](digest)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert page.count("</html>") == 1
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", page)
        markdown = DIGEST_FORMATS["markdown"][2](digest)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", markdown)
        assert json.loads(DIGEST_FORMATS["json"][2](digest))["alerts"] == len(alerts)
    finally:
        sink.close(5)


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [(5, None, ""), (5, 0, "new"), (0, 0, "none before"), (10, 10, "the same"), (12, 10, "+20 %"), (40, 10, "4 times"),
     (0, 10, "-100 %")],
)  # fmt: skip
def test_numbers_are_compared_in_words(now: int, before: int | None, words: str) -> None:
    assert compared(now, before) == words


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("7d", NOW_NS - 7 * DAY_NS), ("90m", NOW_NS - 90 * 60 * 10**9), ("2w", NOW_NS - 14 * DAY_NS),
        ("2026-03-01T12:00", 1_772_366_400 * 10**9), ("2026-03-01T13:00:00.5+01:00", 1_772_366_400_500_000_000),
        ("2026-03-01", 1_772_323_200 * 10**9),
    ],
)  # fmt: skip
def test_times_are_read_as_people_write_them(text: str, expected_ns: int) -> None:
    assert time_from_text(text, NOW_NS) == expected_ns


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-1d", "1500-01-01", "9999-01-01", "٧d", "7d\n8d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as"):
        time_from_text(text, NOW_NS)


def chart(page: str, kind: str) -> list[list[Piece]]:
    """The rectangles of each chart of a kind."""
    root = ElementTree.fromstring(page)
    return [[rect_of(rect) for rect in svg.iter("rect")] for svg in root.iter("svg") if svg.attrib["class"] == kind]


def rect_of(rect: ElementTree.Element) -> Piece:
    x, y, width, height = [float(rect.attrib[name]) for name in ("x", "y", "width", "height")]
    return Piece(rect.attrib["class"].removeprefix("v-"), x, y, width, height, rect.findtext("title", ""))


def test_the_bars_show_what_was_counted(history: History) -> None:
    """Each verdict of each bar has a rectangle of its height; they stand on each other, and on the chart's floor."""
    digest = made(history)
    (bars,) = chart(to_html(digest), "chart")
    peak = max(sum(bar.verdicts.values()) for bar in digest.bars)
    step = WIDTH / len(digest.bars)
    counted = [
        (verdict, index, count)
        for index, bar in enumerate(digest.bars)
        for verdict, count in bar.verdicts.items()
        if count
    ]
    shown = [(verdict, round(x / step), round(height * peak / HEIGHT)) for verdict, x, _, _, height, _ in bars]
    assert sorted(shown) == sorted(counted)
    for index in {round(x / step) for _, x, *_ in bars}:
        stack = sorted((y, height) for _, x, y, _, height, _ in bars if round(x / step) == index)
        ends = [y + height for y, height in stack]
        assert [y for y, _ in stack[1:]] == pytest.approx(ends[:-1], abs=0.2)
        assert ends[-1] == pytest.approx(HEIGHT, abs=0.2)
        assert stack[0][0] >= 0
    assert all(x + width <= WIDTH for _, x, _, width, _, _ in bars)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d: \d+ \D+", text) for *_, text in bars)


def test_the_meters_show_each_rules_share(history: History) -> None:
    """The loudest rule's meter is full, the others' in proportion; verdicts follow each other without a gap."""
    digest = made(history)
    meters = chart(to_html(digest), "meter")
    most = max(line.alerts for line in digest.rules)
    assert len(meters) == len(digest.rules)
    for line, rects in zip(digest.rules, meters, strict=True):
        assert {verdict: round(width * most / 100) for verdict, _, _, width, _, _ in rects} == {
            verdict: count for verdict, count in line.verdicts.items() if count
        }
        ends = [0.0, *(x + width for _, x, _, width, _, _ in rects)]
        assert [x for _, x, *_ in rects] == pytest.approx(ends[:-1], abs=0.02)
        assert ends[-1] == pytest.approx(100 * line.alerts / most, abs=0.05)
