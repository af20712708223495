"""The report page's link to its alert in Grafana."""

from __future__ import annotations

import json
from pathlib import Path

from exporter.alert import Alert, Priority
from exporter.web.reports import REPORTS_DASHBOARD, dashboard_url

ALERT = Alert(1_728_152_979_273_467_556, "Rule", Priority.WARNING, "syscall", "host", "output", {}, ())


def test_the_link_chooses_the_alert_and_an_hour_around_it() -> None:
    """The dashboard opens with this alert, half an hour before and after it."""
    assert dashboard_url("https://grafana.example.org/", ALERT) == (
        f"https://grafana.example.org/d/falco-alert-reports?var-alert={ALERT.uid}&from=1728151179273&to=1728154779273"
    )


def test_without_grafana_there_is_no_link() -> None:
    """Nothing is linked to where web.grafana_url is not set."""
    assert dashboard_url("", ALERT) == ""


def test_the_dashboard_is_the_one_that_is_shipped() -> None:
    """The uid is that of the JSON, and the JSON has the variable."""
    document = json.loads((Path(__file__).parents[3] / "dashboards" / "falco-alert-reports.json").read_text("utf-8"))
    assert document["uid"] == REPORTS_DASHBOARD
    assert "alert" in {variable["name"] for variable in document["templating"]["list"]}
