"""All signs asked at once: the judgement is the one that comes of asking each sign by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alert import Alert, Priority
from exporter.allowance import Allowance
from exporter.sources.decode import from_json
from exporter.verdict.facts import Facts
from exporter.verdict.files import load_language
from exporter.verdict.judge import Judge, reader_of
from exporter.verdict.judgement import Judgement, Matched
from exporter.verdict.language import Language
from exporter.verdict.outcome import outcome_of
from exporter.verdict.sign import Sign
from exporter.verdict.weighing import weigh

FILES = Path(__file__).parents[2] / "verdicts"
ALERTS = [
    from_json(json.dumps(json.loads(line)["alert"]).encode())
    for name in ("dev", "own", "traps", "heldout", "fresh", "blind", "shams")
    for line in FILES.joinpath(f"{name}.jsonl").read_text("utf-8").splitlines()
]
LANGUAGE, SIGNS = load_language()
JUDGE = Judge(SIGNS, LANGUAGE)
SEEN: Mapping[str, Sequence[str]] = {
    name: sorted({alert.all_fields()[name] for alert in ALERTS if name in alert.all_fields()})
    for name in sorted({name for alert in ALERTS for name in alert.all_fields()})
}
"""Every field of the labelled alerts and the values that it has there."""
ODD = ["", "<NA>", "host", "-1", "(a,b)", "()", "\ud800", "/tmp/.x/y", "192.0.2.7:1->10.0.0.1:443", "é" * 9]


def asked_one_by_one(alert: Alert, signs: Sequence[Sign], language: Language) -> Judgement:
    """Judge as the words of ``docs/verdicts.md`` say it, nothing remembered and nothing shared."""
    lists = {name: frozenset(items) for name, items in language.lists.items()}
    facts = Facts(reader_of(alert), lists, language.evaluate_macro)
    found = [
        (sign, Matched(sign.side, sign.weight, sign.forgeable, sign.say.render(facts), sign.about))
        for sign in signs
        if sign.scope.holds(alert) and sign.scope.has_tag(alert) and sign.holds(facts) is True
    ]
    verdict = weigh([sign for sign, _ in found])
    found.sort(key=lambda pair: (pair[0].side != verdict, -pair[0].weight, pair[0].side, pair[0].place))
    return Judgement(verdict, outcome_of(facts), tuple(matched for _, matched in found))


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Labelled alerts with other rules, and with fields left out, mixed up and made up."""
    alert, other = draw(st.sampled_from(ALERTS)), draw(st.sampled_from(ALERTS))
    fields = dict(alert.all_fields())
    for name in draw(st.lists(st.sampled_from(sorted(SEEN)), max_size=5)):
        anothers = SEEN[draw(st.sampled_from(sorted(SEEN)))]
        value = draw(st.sampled_from(SEEN[name]) | st.sampled_from(anothers) | st.sampled_from(ODD) | st.none())
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = value
    rule = draw(st.sampled_from([alert.rule, other.rule, "made up"]))
    source = draw(st.sampled_from([alert.source, alert.source, other.source, "strange"]))
    return replace(alert, fields=fields, rule=rule, source=source)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.rule)
def test_labelled_alerts(alert: Alert) -> None:
    """Verdict, outcome and every sign with its text are the same."""
    assert JUDGE.judge(alert) == asked_one_by_one(alert, SIGNS, LANGUAGE)


@given(st.lists(alerts(), min_size=1, max_size=4))
def test_alerts_with_parts_of_others(several: list[Alert]) -> None:
    """They are, too, whatever came before and is remembered."""
    for alert in several:
        assert JUDGE.judge(alert) == asked_one_by_one(alert, SIGNS, LANGUAGE)


ALLOWANCE = Allowance(1.0, 1e9)


def quickly(several: Sequence[Alert], judge: Judge = JUDGE) -> list[Judgement]:
    """Judge as the metrics do; each alert is one that nothing is noted at. Likenesses make no difference."""
    alike = list(map(replace, several))
    for alert in alike:
        alert.likeness  # noqa: B018 - asking makes it known
    found = judge.judge_all_within(list(map(replace, several)), ALLOWANCE, pytest.fail)
    assert judge.judge_all_within(alike, ALLOWANCE, pytest.fail) == found
    return found


def test_the_quick_way_gives_every_labelled_alert_the_same_judgement() -> None:
    """Each alert twice as it is, with other processes and times, and with its fields in another order."""
    judge = Judge(SIGNS, LANGUAGE)
    expected = list(map(judge.judge, ALERTS))
    others: Mapping[str, str] = {"proc.pid": "7", "proc.ppid": "8", "evt.time": "9", "thread.tid": "10"}
    for changed in (
        lambda fields: fields,
        lambda fields: fields,
        lambda fields: {name: others.get(name, value) for name, value in fields.items()},
        lambda fields: dict(reversed(fields.items())),
        lambda fields: fields,
    ):
        alerts = [replace(alert, time_ns=5, fields=changed(dict(alert.all_fields()))) for alert in ALERTS]
        assert quickly(alerts, judge) == list(map(Judge(SIGNS, LANGUAGE).judge, map(replace, alerts)))
        assert quickly([alert for alert in ALERTS for _ in range(3)], judge)[::3] == expected


def test_a_field_instead_of_one_that_no_sign_looks_at_is_seen() -> None:
    """Two alerts of as many fields, and with the same values of those that the first is judged by."""
    mapping = {"for": "attack", "weight": 4, "when": "proc.name = a and proc.cwd = /tmp", "say": "it is there"}
    judge = Judge([Sign.from_mapping(mapping, "x:1", language=WORDS)], WORDS)
    without, with_it = (replace(ALERTS[0], fields={"proc.name": "a", name: "/tmp"}) for name in ("unread", "proc.cwd"))
    several = [without, without, without, with_it, without, with_it]
    verdicts = [judgement.verdict for judgement in quickly(several, judge)]
    assert verdicts == ["undecided"] * 3 + ["attack", "undecided", "attack"]


def test_alerts_alike_in_all_but_their_time_are_asked_once() -> None:
    """All are given the same object."""
    judge = Judge(SIGNS, LANGUAGE)
    several = [replace(ALERTS[0], time_ns=ALERTS[0].time_ns + number) for number in range(5)]
    found = quickly(several, judge)
    assert len(set(map(id, found))) == 1
    assert judge._alike[several[-1].likeness][1] is found[0]
    assert len(judge._alike) == 1


def test_a_sign_of_the_time_is_asked_about_each_alert() -> None:
    """Alerts that differ in their time only are judged one by one then."""
    mapping = {"for": "attack", "weight": 4, "when": "evt.time contains 1970", "say": "long ago"}
    judge = Judge([Sign.from_mapping(mapping, "x:1", language=WORDS)], WORDS)
    several = [replace(ALERTS[0], time_ns=time_ns) for time_ns in (5, 5, 5, 10**18, 5, 10**18)]
    verdicts = [judgement.verdict for judgement in quickly(several, judge)]
    assert verdicts == ["attack"] * 3 + ["undecided", "attack", "undecided"]
    assert not judge._alike
    assert not judge.is_timeless(several[0])


@given(st.lists(alerts(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_quick_way_gives_the_same_judgement(several: list[Alert], chance: Random) -> None:
    """In any order, again and again, with fields in another order, alerts of one rule and of others in turn."""
    expected = [asked_one_by_one(alert, SIGNS, LANGUAGE) for alert in several]
    numbers = chance.choices(range(len(several)), k=12)
    again = [several[number] for number in numbers]
    shuffled = [
        replace(alert, fields=dict(chance.sample(list(alert.fields.items()), len(alert.fields)))) for alert in again
    ]
    for alerts in (again, shuffled, again):
        found = quickly(alerts)
        assert found == [expected[number] for number in numbers]
        forms = list(map(replace, alerts))
        JUDGE.judge_all_within(forms, ALLOWANCE, pytest.fail)
        assert [alert.form.names for alert in forms] == [tuple(alert.fields) for alert in alerts]


OPERATIONS = [
    "proc.name = a", "proc.name in (a, b)", "proc.name != a", "proc.name exists", "fd.snet in (10.0.0.0/8)",
    "proc.name = val(proc.pname)", "tolower(proc.pname) = a", "proc.tty > 0", "alert.rule = R",
    "alert.priority = Notice",
    "alert.hostname = node", "evt.hostname = node", "alert.on_host = yes", "evt.time contains 1970", "exe.name = a",
    "ours", "theirs", "image.in[names] = yes", "proc.cmdline contains a", "proc.cmdline regex a.*",
    "proc.cmdline startswith a", "proc.cmdline endswith a", "proc.cmdline glob a*", "proc.cmdline icontains a",
]  # fmt: skip
CONDITIONS = st.recursive(
    st.sampled_from(OPERATIONS),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda texts: " and ".join(f"({text})" for text in texts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda texts: " or ".join(f"({text})" for text in texts)),
    ),
    max_leaves=8,
)
WORDS = Language(
    {"names": ["a", "docker.io/library/a"]}, {"ours": "proc.pname = a or not proc.tty = 0", "theirs": "not ours"}
)
SMALL = st.builds(
    lambda fields, rule, priority, host: Alert(5, rule, priority, "syscall", host, "", fields, ()),
    st.dictionaries(
        st.sampled_from(
            ["proc.name", "proc.pname", "proc.tty", "proc.cmdline", "proc.exepath", "fd.sip", "fd.snet", "container.id",
             "container.image.repository", "evt.hostname"]
        ),
        st.sampled_from(["a", "A", "b", "0", "34816", "<NA>", "", "host", "10.1.2.3", "/bin/a", "ab", "ba", "node"]),
    ),
    st.sampled_from(["R", "S"]),
    st.sampled_from([Priority.NOTICE, Priority.ERROR]),
    st.sampled_from(["node", "", "other"]),
)  # fmt: skip


@given(st.lists(CONDITIONS, min_size=1, max_size=5), st.lists(SMALL, min_size=1, max_size=5))
def test_conditions_of_every_form(conditions: list[str], several: list[Alert]) -> None:
    """Negations, macros, networks and what every alert has, with absent fields open and false."""
    sides = ["attack", "benign", "test"]
    signs = [
        Sign.from_mapping(
            {"for": sides[number % 3], "weight": 4, "forgeable": "false", "when": condition, "say": "%{proc.name} is"},
            f"x:{number}",
            language=WORDS,
        )
        for number, condition in enumerate(conditions)
    ]
    judge = Judge(signs, WORDS)
    expected = [asked_one_by_one(alert, signs, WORDS) for alert in [*several, *several]]
    assert [judge.judge(alert) for alert in [*several, *several]] == expected, conditions
    assert quickly([*several, *several], judge) == expected, conditions


def test_an_address_that_stands_in_for_a_network_is_not_forgotten() -> None:
    """``fd.snet`` is taken from ``fd.sip``: two alerts that differ in it alone are judged apart."""
    mapping = {"for": "attack", "weight": 4, "when": "fd.snet in (10.0.0.0/8)", "say": "it is near"}
    signs = [Sign.from_mapping(mapping, "x:1", language=WORDS)]
    judge = Judge(signs, WORDS)
    near, far = (replace(ALERTS[0], fields={"fd.sip": address}) for address in ("10.1.2.3", "192.0.2.7"))
    assert [judge.judge(alert).verdict for alert in (near, far, near)] == ["attack", "undecided", "attack"]


def test_what_every_alert_has_is_not_forgotten() -> None:
    """Nor are priority and host, which are none of its fields."""
    when = "alert.priority = Error and alert.hostname = node"
    signs = [Sign.from_mapping({"for": "attack", "weight": 4, "when": when, "say": "x"}, "x:1", language=WORDS)]
    judge = Judge(signs, WORDS)
    alert = replace(ALERTS[0], priority=Priority.ERROR, hostname="node")
    others = [alert, replace(alert, priority=Priority.NOTICE), replace(alert, hostname="other")]
    assert [judge.judge(other).verdict for other in others] == ["attack", "undecided", "undecided"]
