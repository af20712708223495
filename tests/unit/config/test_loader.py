"""Settings: precedence, types, and errors that name their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.config.loader import load_config
from exporter.config.model import Config, FalcoTarget, OtlpEndpoint, Route, TlsClient
from exporter.config.options import options
from exporter.errors import ConfigError


def write(directory: Path, text: str) -> Path:
    file = directory / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_anything_the_default_socket_is_the_target() -> None:
    """No setting at all is a valid configuration: Falco's own default socket."""
    assert load_config({}, {}) == Config(targets=(FalcoTarget("unix:///run/falco/falco.sock"),))


def test_another_source_needs_no_target() -> None:
    """With http_output, JSON lines or the demo there is no default target."""
    assert load_config({"http.address": ":2801"}, {}).targets == ()
    assert load_config({"json_lines.stdin": True}, {}).targets == ()
    assert load_config({}, {}, demo=True).targets == ()


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    """Each level overrides the next, setting by setting."""
    file = write(tmp_path, "web: {recent_reports: 1, connection_limit: 1, listen_address: ':1'}\n")
    environment = {
        "FALCO_REPORT_EXPORTER_WEB_RECENT_REPORTS": "2",
        "FALCO_REPORT_EXPORTER_WEB_CONNECTION_LIMIT": "2",
        "FALCO_REPORT_EXPORTER_CONFIG_FILE": str(file),
    }
    web = load_config({"web.recent_reports": 3}, environment).web
    assert (web.recent_reports, web.connection_limit, web.listen_address) == (3, 2, ":1")


def test_every_setting_can_be_set_in_the_environment(tmp_path: Path) -> None:
    """Each option's variable reaches its field with the field's type; only what needs a partner is refused alone."""
    file = write(tmp_path, "x")
    samples: dict[type, str] = {str: "x", int: "7", float: "1.5", bool: "true", Path: str(file)}
    special = {
        "catalog.directories": str(tmp_path),
        "http.path": "/x",
        "identity.labels": "a=b",
        "identity.hosts": "a=b",
    }
    refused = set()
    for option in options():
        if "address" in option.key or "url" in option.key:
            special[option.key] = "http://x" if "url" in option.key else ":1"
        text = option.choices[-1] if option.choices else special.get(option.key, samples[option.kind])
        try:
            value: Any = load_config({}, {option.variable: text})
        except ConfigError:
            refused.add(option.key)
            continue
        for name in option.path:
            value = getattr(value, name)
        assert isinstance(value[0] if option.many else value, option.kind)
    assert refused == {
        "http.basic_auth_user", "http.basic_auth_password_file", "http.tls.cert_file", "http.tls.key_file",
        "http.tls.client_ca_file", "serve_grpc.address", "serve_grpc.tls.cert_file", "serve_grpc.tls.key_file",
        "serve_grpc.tls.client_ca_file",
    }  # fmt: skip


def test_targets_of_the_file_have_names_and_tls(tmp_path: Path) -> None:
    """A target is an address, or an address with a name and files; common files serve those without."""
    pem = write(tmp_path, "x")
    tls = f"{{ca_file: {pem}, cert_file: {pem}, key_file: {pem}}}"
    listed = f"targets:\n - unix:///a\n - {{address: 'h:1', name: n, tls: {tls}}}\n - {{address: 'h:2'}}\n"
    text = f"{listed}grpc: {{tls: {tls}}}\n"
    other = tmp_path / "other.yaml"
    other.write_text(text, encoding="utf-8")
    first, second, third = load_config({}, {}, other).targets
    files = TlsClient(pem, pem, pem)
    assert (first.address, second.label, second.tls, third.tls) == ("unix:///a", "n", files, files)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: {xyzzy: 5}", "1: web.xyzzy: unknown key 'xyzzy'; expected one of: config_file"),
        ("web:\n  recent_reports: many", "2: web.recent_reports: found 'many', expected a whole number"),
        ("grpc: {method: push}", "1: grpc.method: found 'push', expected one of: get, sub"),
        ("metrics:\n  extra_labels: {a: b}", "2: metrics.extra_labels: found keys and values, expected a single value"),
        ("log: [a]", "1: log: found a list, expected keys and values"),
        (
            "a: b: c",
            "1: not valid YAML: mapping values are not allowed in this context; is the line indented too far, or ",
        ),
        (
            "web:\n\tconfig_file: x",
            "2: not valid YAML: found character that cannot start any token; a tab indents this line",
        ),
        (
            "web: {}\nlog\ngrpc: {}",
            "3: not valid YAML: could not find expected ':'; is the `:` after a key missing",
        ),
        ("", "1: the file is empty"),
        ("targets: [{name: x}]", "1: targets#1: missing key: address"),
        ("endpoints: [{name: soc}]", "1: endpoints#1: missing key: endpoint"),
        ("routes:\n - drop: maybe", "2: routes#1.drop: found 'maybe', expected true or false"),
        ("routes:\n - {to: soc, rule: x}", "2: routes#1.rule: unknown key 'rule'"),
        ("web: {recent_reports: 1, recent_reports: 2}", "web.recent_reports: duplicate key"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    """File, line, key, what was found and what was expected."""
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config({}, {}, file)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{file}:")


def test_endpoints_and_routes_are_read_from_the_file(tmp_path: Path) -> None:
    """An endpoint with its files, a route with one or several of each condition, a route that drops."""
    pem = write(tmp_path, "x")
    file = tmp_path / "other.yaml"
    file.write_text(
        f"endpoints: [{{name: soc, endpoint: 'https://soc:4317', headers_file: {pem}, tls: {{ca_file: {pem}}}}}]\n"
        "routes:\n"
        "  - {name: noise, drop: true, verdicts: [benign, test], rules: ['*Shell*'], tags: network}\n"
        "  - {to: [soc, default], priority: Warning, sources: syscall, namespaces: [kube-*]}\n",
        encoding="utf-8",
    )
    config = load_config({}, {}, file)
    assert config.endpoints == (OtlpEndpoint("soc", "https://soc:4317", "", pem, TlsClient(ca_file=pem)),)
    noise = Route("noise", (), True, "", ("benign", "test"), ("*Shell*",), (), (), ("network",))
    assert config.routes == (noise, Route("2", ("soc", "default"), False, "warning", (), (), ("syscall",), ("kube-*",)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("routes: [{to: soc}]", "routes#1: to: found 'soc', expected one of: default"),
        (
            "routes: [{to: default}, {name: n, rules: x}]",
            "routes#2 (n): expected either `to` with names of endpoints or `drop: true`",
        ),
        ("routes: [{to: default, drop: true}]", "expected either `to`"),
        ("routes: [{to: default, priority: high}]", "priority: found 'high', expected one of: emergency, alert"),
        ("routes: [{to: default, verdicts: bad}]", "verdicts: found 'bad', expected one of: attack, undecided"),
        ("endpoints: [{name: soc, endpoint: 'http://h:1'}]", "endpoints: no route leads to 'soc'"),
        ("endpoints: [{name: default, endpoint: 'http://h:1'}]", "endpoints: found the name 'default'"),
        ("endpoints: [{name: ../x, endpoint: 'http://h:1'}]", "endpoints: found the name '../x'"),
        ("identity: {labels: cluster}", "identity.labels: found 'cluster', expected NAME=VALUE"),
        ("identity: {labels: 'rule=x'}", "identity.labels: found 'rule=x', expected a name that no metric has"),
        ("identity: {hosts: 'x='}", "identity.hosts: found 'x=', expected PATTERN=NAME"),
    ],
)
def test_routes_and_identity_that_cannot_be_are_named(tmp_path: Path, text: str, said: str) -> None:
    """What was found and what was expected, before a socket opens."""
    with pytest.raises(ConfigError) as caught:
        load_config({}, {}, write(tmp_path, text))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"web.listen_address": "nonsense"}, "web.listen_address: found 'nonsense', expected HOST:PORT"),
        ({"targets": ["h:1"]}, "missing ca_file, cert_file, key_file"),
        ({"targets": ["unix:///a", "unix:///a"]}, "listed twice"),
        ({"targets": ["falco.sock"]}, "targets: falco.sock: found 'falco.sock', expected HOST:PORT"),
        ({"metrics.extra_labels": ("no field",)}, "metrics.extra_labels: found 'no field'"),
        ({"redaction.patterns": ("(",)}, "'(' is not a valid regular expression (RE2): missing )"),
        ({"http.basic_auth_user": "u"}, "go together"),
        ({"serve_grpc.address": "0.0.0.0:1"}, "mutual TLS"),
        ({"queue.limit_bytes": 0}, "queue.limit_bytes: found 0, expected a number above 0"),
        ({"grpc.window_bytes": -1}, "grpc.window_bytes: found -1, expected a number of bytes, or 0 to choose it"),
        ({"web.grafana_url": "https://u:geheim@grafana.example/"}, "web.grafana_url: expected an address without user"),
        ({"web.external_url": "report.example"}, "starts with http:// or https://"),
        ({"web.config_file": Path("/nowhere.yaml")}, "web.config_file: /nowhere.yaml: No such file or directory"),
        ({"catalog.directories": (Path("/nowhere"),)}, "catalog.directories: /nowhere: no such directory"),
        ({"otlp.attribute_limit": 500}, "at most 128"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_starts(flags: dict[str, Any], said: str) -> None:
    """Each rule about values and combinations names the setting."""
    with pytest.raises(ConfigError) as caught:
        load_config(flags, {})
    assert said in str(caught.value)


def test_every_mistake_is_listed_at_once() -> None:
    """An operator mends them in one go."""
    with pytest.raises(ConfigError) as caught:
        load_config({"queue.limit_bytes": 0, "web.listen_address": "x", "web.grafana_url": "y"}, {})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("FALCO_REPORT_EXPORTER_WEB_RECENT_REPORTS", "x", "found 'x', expected a whole number"),
        ("FALCO_REPORT_EXPORTER_WEB_RECENT", "5", "no such setting"),
        ("FALCO_REPORT_EXPORTER_OTLP_ADVICE", "maybe", "expected one of: brief, full, none"),
        ("FALCO_REPORT_EXPORTER_METRICS_LEGACY_FALCO_EVENTS", "maybe", "expected true or false"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(variable: str, text: str, said: str) -> None:
    """The variable's name and what was expected."""
    with pytest.raises(ConfigError) as caught:
        load_config({}, {variable: text})
    assert variable in str(caught.value)
    assert said in str(caught.value)


def test_patterns_of_the_environment_may_hold_commas() -> None:
    """A pattern is a line, so that a{1,2} is not cut in two and a secret left unmasked."""
    environment = {"FALCO_REPORT_EXPORTER_REDACTION_PATTERNS": "AKIA[A-Z]{1,20}\ntoken=\\S+"}
    assert load_config({}, environment).redaction.patterns == ("AKIA[A-Z]{1,20}", r"token=\S+")


@pytest.mark.parametrize(
    "variable",
    [
        "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_METRICS", "PORT", "PORT_9376_TCP", "PORT_9376_TCP_ADDR",
        "PORT_2801_TCP_PROTO", "HEADLESS_SERVICE_HOST", "HEADLESS_PORT_9376_TCP_PORT",
    ],
)  # fmt: skip
def test_what_the_kubelet_sets_for_a_service_of_our_name_is_ignored(variable: str) -> None:
    """A Service called falco-report-exporter puts variables of our prefix into every pod of the namespace."""
    assert load_config({}, {f"FALCO_REPORT_EXPORTER_{variable}": "tcp://10.0.0.1:9376"}) == load_config({}, {})


def test_a_mistyped_variable_names_the_nearest() -> None:
    """The message says which setting was meant."""
    with pytest.raises(ConfigError, match="did you mean FALCO_REPORT_EXPORTER_HTTP_ADDRESS"):
        load_config({}, {"FALCO_REPORT_EXPORTER_HTTP_ADRESS": ":2801"})


def test_every_mistake_in_a_file_is_listed_at_once(tmp_path: Path) -> None:
    """Unknown keys, wrong values and wrong kinds in one file are one answer, each with its line."""
    file = tmp_path / "config.yaml"
    file.write_text("web:\n  listen_adress: x\n  recent_reports: many\nlog: [1]\nquue: {}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config({}, {}, file)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in sorted(lines)] == ["2", "3", "4", "5"]
    assert "did you mean listen_address?" in str(caught.value)
    assert "did you mean queue?" in str(caught.value)


@pytest.mark.parametrize("field", ["k8s.ns.label.team-name", "api-key", "Team", "ka.req.pod.volumes.hostpath[/etc]"])
def test_a_field_may_have_any_name_that_falco_or_an_enricher_gives(field: str) -> None:
    """Labels and redaction take names with hyphens and capitals."""
    config = load_config({"metrics.extra_labels": (field,), "redaction.fields": (field,)}, {})
    assert config.metrics.extra_labels == (field,)
