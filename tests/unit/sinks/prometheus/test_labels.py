"""Labels: the namespace, and those that an operator adds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.config.model import Config, Metrics
from exporter.config.validate import validate
from exporter.errors import ConfigError
from tests.unit.sinks.prometheus.counting import make_alert, make_sink, samples


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({"k8s__ns__name": "<NA>"}, ""),
        ({"k8s__ns__name": ""}, ""),
        ({"ka__target__namespace": "payments"}, "payments"),
        ({"k8s__ns__name": "web", "ka__target__namespace": "payments"}, "web"),
    ],
)
def test_the_namespace_is_the_pods_or_the_audited_objects(fields: dict[str, str], namespace: str) -> None:
    """An absent namespace is an empty label; Kubernetes audit alerts name it in another field."""
    sink, registry = make_sink()
    sink.write([make_alert(**fields)])
    assert [found.labels["k8s_ns_name"] for found in samples(registry, "falco_events_total")] == [namespace]


def test_an_operators_label_comes_from_any_field() -> None:
    """The label's name is the field's with underscores, its value the field's or empty where absent."""
    sink, registry = make_sink(extra_labels=("k8s.pod.name", "proc.aname[2]"))
    sink.write([make_alert(k8s__pod__name="web-1")])
    (found,) = samples(registry, "falco_events_total")
    assert found.labels["k8s_pod_name"] == "web-1"
    assert found.labels["proc_aname_2_"] == ""


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("static.cluster", "static_cluster"),
        ("static.Team-Owner", "static_Team_Owner"),
        ("k8s.ns.label.team-name", "k8s_ns_label_team_name"),
        ("k8s.ns.label[app.kubernetes.io/name]", "k8s_ns_label_app_kubernetes_io_name_"),
        ("tolower(proc.name)", "tolower_proc_name_"),
        ("api-key", "api_key"),
    ],
)
def test_every_name_that_falco_can_send_can_be_a_label(field: str, label: str) -> None:
    """Static and templated fields, labels of Kubernetes: with a hyphen, a capital, a slash."""
    validate(Config(metrics=Metrics(extra_labels=(field,))))
    sink, registry = make_sink(extra_labels=(field,))
    sink.write([replace(make_alert(), fields={field: "x"})])
    (found,) = samples(registry, "falco_events_total")
    assert found.labels[label] == "x"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("k8s.ns.name",), "k8s_ns_name"),
        (("proc.name", "proc_name"), "already taken by the field proc.name"),
        (("hostname",), "always has"),
        (("proc name",), "expected the names of Falco output fields"),
        (("",), "found ''"),
        (("__name__",), "found '__name__'"),
        (("le",), "found 'le'"),
        (('a"} 1\nx{b="',), "expected the names"),
    ],
)
def test_a_label_that_cannot_be_is_refused_at_the_start(fields: tuple[str, ...], expected: str) -> None:
    """Names that are none, reserved or taken raise ConfigError, which says what was found."""
    with pytest.raises(ConfigError, match=r"metrics\.extra_labels") as caught:
        make_sink(extra_labels=fields)
    assert expected in str(caught.value)
