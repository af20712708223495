"""What is known of a source stands in one table, and everything that needs it reads it there."""

from __future__ import annotations

import dataclasses

import pytest

from dashboards.generator.variables import SOURCES
from exporter.catalog.compose import traits_of
from exporter.catalog.exception import composed_exception
from exporter.details import details
from exporter.event_sources import EVENT_SOURCES
from exporter.render.header import about
from tests.site import make_alert

PLUGINS = [name for name, source in EVENT_SOURCES.items() if not source.on_falcos_host]


def test_every_source_has_a_title_and_a_choice_in_dashboards() -> None:
    """Generated pages and the variable of the dashboards are made from the table."""
    assert all(source.title for source in EVENT_SOURCES.values())
    assert set(SOURCES) == set(EVENT_SOURCES)


@pytest.mark.parametrize("name", PLUGINS)
def test_an_alert_of_a_plugin_says_who_acted_and_can_be_excepted(name: str) -> None:
    """Header, details and the exception for a rule without an entry come from the table."""
    source = EVENT_SOURCES[name]
    assert source.principals
    values = {
        field: f"value-{number}" for number, field in enumerate(dict.fromkeys([*source.principals, *source.case]))
    }
    alert = dataclasses.replace(make_alert(**values), source=name)
    known = about(alert, "")
    assert (known.label, known.subject) == ("Principal", values[source.principals[0]])
    shown = {label for label, _ in details(alert)}
    assert {field.label for field in source.fields if field.label and field.name in values} <= shown
    assert name in traits_of(alert)
    assert tuple(each.field for each in composed_exception("Ours", name, traits_of(alert)).compared) == source.case
