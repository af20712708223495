"""The header's rows: what an alert is about."""

from __future__ import annotations

import pytest

from exporter.alert import Alert, Priority
from exporter.render.header import About, about, place_of


@pytest.mark.parametrize(
    ("fields", "host", "label", "subject", "place"),
    [
        (
            {"k8s.pod.name": "web-1", "k8s.ns.name": "shop", "container.name": "c"},
            "n",
            "Pod",
            "shop/web-1",
            "shop/web-1",
        ),
        ({"k8s.pod.name": "web-1"}, "n", "Pod", "web-1", "web-1"),
        ({"ka.target.pod.name": "p", "ka.target.namespace": "db"}, "", "Pod", "db/p", "db/p"),
        (
            {"container.name": "<NA>", "container.id": "c0ffee", "k8s.ns.name": "shop"},
            "n",
            "Container",
            "c0ffee",
            "c0ffee",
        ),
        ({"container.id": "host", "user.name": "root"}, "n", "User", "root", "n"),
        ({"user.name": "root"}, "", "User", "root", "root"),
        ({"ct.user": "eve", "user.name": "root"}, "n", "Principal", "eve", "eve"),
        ({"proc.name": "x"}, "n", "", "", "n"),
        (
            {"k8s.pod.name": "p" * 300},
            "n",
            "Pod",
            f"{'p' * 200}… (100 more characters)",
            f"{'p' * 200}… (100 more characters)",
        ),
    ],
)
def test_an_alert_is_about_the_first_that_it_names(
    fields: dict[str, str], host: str, label: str, subject: str, place: str
) -> None:
    """A user is known on a host only; pods, containers and principals are a place by themselves."""
    alert = Alert(1, "A rule", Priority.NOTICE, "syscall", host, "x", fields, ())
    assert about(alert) == About("A rule", "Notice", "syscall", host, label, subject, "unknown")
    assert about(alert).place == place_of(alert) == place
