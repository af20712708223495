"""The judge: what is given again, and what hostile alerts can do."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alert import Alert, Priority
from exporter.allowance import Allowance
from exporter.catalog.catalog import load_catalog
from exporter.sources.decode import from_json
from exporter.verdict import judge as module
from exporter.verdict.files import load_language
from exporter.verdict.judge import Judge
from exporter.verdict.judgement import OUTCOMES, UNDECIDED, VERDICTS

LINES = Path(__file__).parents[2].joinpath("verdicts", "dev.jsonl").read_text("utf-8").splitlines()
ALERTS = [from_json(json.dumps(json.loads(line)["alert"]).encode()) for line in LINES]
HOSTILE_LINES = (
    "curl ",
    "wget x ) ",
    "curl -F @",
    "/dev/tcp/ ",
    "* * * * * ",
    "base64 -d ",
    "A" * 40 + " ",
    "| sh",
    "1.2.3.4 ",
)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_catalog().judge


def fresh() -> Judge:
    language, signs = load_language()
    return Judge(signs, language)


def test_an_alert_that_repeats_is_given_the_same_judgement(judge: Judge) -> None:
    """The very same object, whatever differs that no sign looks at."""
    for alert in ALERTS:
        first = judge.judge(replace(alert))
        again = replace(alert, time_ns=alert.time_ns + 5, fields=dict(alert.all_fields()) | {"evt.time": "77"})
        assert judge.judge(again) is first


def test_what_is_given_again_is_what_would_be_judged() -> None:
    """In any order, with fields missing and changed, a judge that remembers says what a fresh one says."""
    remembering = fresh()
    for alert in ALERTS[::9]:
        variants = [alert]
        for name in list(alert.all_fields())[:6]:
            without = {key: value for key, value in alert.all_fields().items() if key != name}
            variants += [replace(alert, fields=without), replace(alert, fields=without | {name: "other"})]
        anew = [fresh().judge(variant) for variant in variants[:1]] + [remembering.judge(v) for v in variants[1:]]
        assert [remembering.judge(variant) for variant in [*variants, *reversed(variants)]] == [*anew, *reversed(anew)]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number over all rules together, and by characters."""
    monkeypatch.setattr(module, "KEPT_JUDGEMENTS", 10)
    monkeypatch.setattr(module, "PLANS_KEPT", 5)
    judge = fresh()
    for number in range(25):
        fields = dict(ALERTS[1].all_fields()) | {"proc.name": f"p{number}"}
        judge.judge(replace(ALERTS[1], rule=f"made up {number % 2}", fields=fields))
        assert 0 < len(judge._given) <= 10
    kept = len(judge._given)
    judge.judge(replace(ALERTS[1], fields=dict(ALERTS[1].all_fields()) | {"proc.cmdline": "x" * 9_000}))
    assert len(judge._given) == kept
    for number in range(12):
        judge.judge(replace(ALERTS[1], rule=f"made up {number}"))
        assert len(judge._kinds) <= 5


def test_what_is_remembered_of_forms_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all rules together, by number and by the characters of their names, and nothing of what only a forger has."""
    monkeypatch.setattr(module, "FORMS_KEPT", 10)
    judge = fresh()
    for number in range(25):
        judge.judge(replace(ALERTS[1], rule=f"made up {number % 3}", fields={"proc.name": "a", f"x{number}": "b"}))
        assert 0 < sum(len(kind.forms) for kind in judge._kinds.values()) <= len(judge._formed) <= 10
    kept = len(judge._formed)
    judge.judge(replace(ALERTS[1], fields={f"x{number}": "b" for number in range(600)}))
    assert len(judge._formed) == kept


def test_what_is_found_without_a_look_up_is_short() -> None:
    """A rule's latest alert is held beyond every bound, so that neither its names nor its values may be long."""
    judge = fresh()
    for fields in ({"proc.cmdline": "x" * 3_000}, {"x" * 3_000: "a"}):
        for _ in range(3):
            judge.judge_all_within([replace(ALERTS[1], fields=fields)], Allowance(), pytest.fail)
    likes = [like for kind in judge._kinds.values() for like in (*kind.forms.values(), kind.latest) if like is not None]
    assert likes
    assert all(len(str(like.latest)) < module.LATEST_CHARACTERS for like in likes)
    latest = [kind.latest for kind in judge._kinds.values() if kind.latest is not None]
    assert all(like.form.characters <= module.LATEST_CHARACTERS for like in latest)


def test_threads_get_their_own_alerts_judgement(judge: Judge) -> None:
    """Two sinks judge at once, alerts of one rule with different fields among them."""
    bare = [replace(alert, fields={"proc.name": "x"}) for alert in ALERTS]
    expected = [judge.judge(alert) for alert in [*ALERTS, *bare]]
    wrong: list[int] = []

    def run() -> None:
        for _ in range(5):
            for number, alert in enumerate([*ALERTS, *bare]):
                if judge.judge(alert) != expected[number]:
                    wrong.append(number)
            again = [replace(alert) for alert in [*ALERTS, *bare]]
            if judge.judge_all_within(again, Allowance(), pytest.fail) != expected:
                wrong.append(-1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@given(
    st.dictionaries(
        st.sampled_from(["proc.cmdline", "proc.exepath", "fd.name", "ka.user.name", "evt.plugininfo", "evt.arg.flags",
                         "container.image.repository", "ka.req.pod.containers.image", "proc.tty", "gcp.userAgent"]),
        st.text(max_size=40) | st.sampled_from(["()", "(,)", "a->b", "1:2->3:4", "\ud800", "a:b@c", "[", "/", "-1"]),
    ),
    st.sampled_from(["syscall", "k8s_audit", "aws_cloudtrail", "gcp_auditlog", "okta", "github", ""]),
)  # fmt: skip
def test_every_alert_is_judged(fields: dict[str, str], source: str) -> None:
    """Whatever its fields hold, one of the verdicts and one of the outcomes, and no error."""
    alert = Alert(1, "Run shell untrusted", Priority.NOTICE, source, "h", "", fields, ())
    judgement = JUDGE.judge(alert)
    assert judgement.verdict in VERDICTS
    assert judgement.outcome in OUTCOMES


JUDGE = fresh()


@pytest.mark.parametrize("part", HOSTILE_LINES)
def test_no_value_makes_judging_slow(part: str) -> None:
    """A command line of 200,000 characters made to be hard takes less than half a second of CPU."""
    line = part * (200_000 // len(part))
    fields = dict(ALERTS[1].all_fields()) | dict.fromkeys(
        ("proc.cmdline", "proc.pcmdline", "fd.name", "proc.env"), line
    )
    alert = replace(ALERTS[1], fields=fields)
    JUDGE.judge(ALERTS[1])  # what is built for the first alert of a rule is no part of it
    begun = time.process_time()
    JUDGE.judge(alert)
    assert time.process_time() - begun < 0.5


def test_a_spent_allowance_leaves_unlike_alerts_unjudged() -> None:
    """What was judged lately is given all the same, and once there is something left again the rest is judged."""
    judge, now = fresh(), 0.0
    allowance = Allowance(1.0, 1.0, clock=lambda: now)
    known = judge.judge_within(ALERTS[0], allowance)
    assert known == fresh().judge(ALERTS[0])
    allowance.end(allowance.begin() - 2.0)
    assert judge.judge_within(ALERTS[1], allowance) is None
    assert judge.judge_within(ALERTS[0], allowance) is known
    left_out: list[int] = []
    several = [replace(ALERTS[number]) for number in (1, 0, 2)]
    assert judge.judge_all_within(several, allowance, lambda: left_out.append(1)) == [UNDECIDED, known, UNDECIDED]
    assert len(left_out) == 2
    now = 5.0
    assert judge.judge_within(ALERTS[1], allowance) == fresh().judge(ALERTS[1])
