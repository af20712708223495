"""What an incident says of several alerts: nothing that is one alert's without saying whose."""

from __future__ import annotations

from functools import cache

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.incidents.batch import join_all
from exporter.incidents.story import Story, story_of
from exporter.incidents.tactics import tactics_by_rule
from exporter.report import to_plain
from exporter.reporter import Reporter
from tests.unit.incidents.made import alert

IN_CONTAINER = {"container__id": "5f0e6c1a77d2", "container__name": "web", "proc__name": "sh", "user__name": "root"}
MINER = "Detect crypto miners using the Stratum protocol"
CRON = "Schedule Cron Jobs"


@cache
def reporter() -> Reporter:
    return Reporter(load_catalog())


def of_rule(rule: str, minutes: float, **fields: str) -> Alert:
    return alert(minutes, rule, **(IN_CONTAINER | fields))


def told(*alerts: Alert) -> Story:
    catalog = reporter().catalog
    [incident] = join_all(alerts, 7_200, judge=catalog.judge.judge, tactics_of=tactics_by_rule(catalog))
    return story_of(incident, reporter().advice_for)


def miner(minutes: float, path: str = "/usr/bin/ddns") -> Alert:
    return of_rule(MINER, minutes, proc__cmdline="ddns -o stratum+tcp://203.0.113.61:3333", proc__exepath=path)


def cron(minutes: float) -> Alert:
    return of_rule(CRON, minutes, proc__cmdline='sh -c echo "* * * * * root sh" >> /etc/cron.d/zz')


def test_of_one_rule_nothing_is_named() -> None:
    """Of one rule's alerts the story says what the alert's own report says."""
    given = miner(0)
    advice, story = reporter().report_for(given).advice, told(given)
    assert story.close_if == advice.close_if
    assert story.escalate_if == advice.escalate_if
    assert set(advice.unknown) <= set(story.unknown)


def test_of_several_rules_each_open_question_names_its_rule() -> None:
    """\"How it came there\" says nothing beside another alert: what is unknown begins with the rule's name."""
    story = told(miner(0), cron(1))
    *own, last = [to_plain(each) for each in story.unknown]
    assert last.startswith("what Falco has no rule for")
    assert {text.partition(":")[0].strip("“”") for text in own} == {MINER, CRON}


def test_of_several_rules_one_alerts_explanation_closes_nothing() -> None:
    """Closing asks for all of them; what is said of the gravest has its name."""
    story = told(miner(0), cron(1))
    gravest = reporter().report_for(miner(0)).advice
    close_if, escalate_if = to_plain(story.close_if), to_plain(story.escalate_if)
    assert close_if.startswith("every alert is explained; ")
    assert escalate_if.startswith("one of them is not; ")
    for text, own in ((close_if, gravest.close_if), (escalate_if, gravest.escalate_if)):
        assert MINER in text
        assert text.endswith(to_plain(own))


def test_steps_of_one_title_say_which_alert_they_are_of() -> None:
    """Two files to take away have one title: each says whose it is, and a step with a title of its own does not."""
    story = told(miner(0, "/usr/bin/ddns"), miner(1, "/usr/bin/kdevtmp"), cron(2))
    titles = [to_plain(step.title) for step in story.steps]
    of = [to_plain(alert) for alert in story.steps_of]
    twice = {title for title in titles if titles.count(title) > 1}
    assert twice
    assert all(bool(alert) == (title in twice) for title, alert in zip(titles, of, strict=True))
    away = [alert for title, alert in zip(titles, of, strict=True) if title.startswith("Keep the file and take")]
    assert len(set(away)) == len(away) == 2
    assert all(MINER in alert and alert.startswith("20") for alert in away)
