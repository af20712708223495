"""What settings must be together, checked before any socket opens.

Owns rules about values and combinations; each complaint names the setting's
YAML key, what was found and what was expected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from exporter.config.model import Config, FalcoTarget, TlsServer
from exporter.config.routes import problems_of
from exporter.errors import ConfigError
from exporter.falco.rules_file import rules_files_in
from exporter.listener.address import Address
from exporter.patterns import Pattern

FIELD_NAME = re.compile(r"(?:[a-z0-9_]+\()*[A-Za-z_][A-Za-z0-9_./-]*(\[[^\]]+\])?\)*\Z")
"""Falco's own fields, and what rules' authors, labels and enrichers name (``k8s.ns.label.team-name``), and Falco's
transformers of them (``tolower(proc.cmdline)``)."""
_METRIC_LABELS = frozenset(
    {"rule", "priority", "source", "host", "hostname", "namespace", "target", "endpoint", "reason", "route", "listener",
     "le", "quantile", "instance", "job", "k8s_ns_name", "k8s_pod_name", "tags", "uid"}
)  # fmt: skip
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_POSITIVE = (
    "grpc.poll_ceiling_seconds",
    "grpc.reconnect_ceiling_seconds",
    "http.body_limit_bytes",
    "http.connection_limit",
    "http.read_timeout_seconds",
    "metrics.series_limit",
    "otlp.record_limit_bytes",
    "otlp.attribute_limit",
    "queue.limit_bytes",
    "queue.limit_age_seconds",
    "history.limit_bytes",
    "history.limit_age_seconds",
    "web.recent_reports",
    "web.connection_limit",
    "web.request_timeout_seconds",
    "serve_grpc.subscriber_limit_alerts",
    "serve_grpc.subscriber_limit_bytes",
)


def validate(config: Config) -> None:
    """Raise ConfigError listing everything that is wrong, a line each."""
    parts = (_values, _addresses, _targets, _files, _together, problems_of, _identity)
    if problems := [problem for part in parts for problem in part(config)]:
        raise ConfigError("\n".join(problems))


def _identity(config: Config) -> Iterator[str]:
    for item in config.identity.labels:
        name, equals, _ = item.partition("=")
        if not equals or not _LABEL.match(name):
            yield f"identity.labels: found {item!r}, expected NAME=VALUE with a name of letters, digits and _"
        elif name in _METRIC_LABELS:
            yield f"identity.labels: found {item!r}, expected a name that no metric has as a label of its own"
    for item in config.identity.hosts:
        pattern, equals, name = item.partition("=")
        if not equals or not pattern or not name:
            yield f"identity.hosts: found {item!r}, expected PATTERN=NAME, e.g. falco-*=node-{{1}}"


def _values(config: Config) -> Iterator[str]:
    for key in _POSITIVE:
        section, name = key.split(".")
        if (value := getattr(getattr(config, section), name)) <= 0:
            yield f"{key}: found {value}, expected a number above 0"
    if config.grpc.window_bytes < 0:
        yield f"grpc.window_bytes: found {config.grpc.window_bytes}, expected a number of bytes, or 0 to choose it"
    if config.otlp.attribute_limit > 128:
        yield f"otlp.attribute_limit: found {config.otlp.attribute_limit}, expected at most 128 (the SDK's own limit)"
    for key, fields in (
        ("metrics.extra_labels", config.metrics.extra_labels),
        ("redaction.fields", config.redaction.fields),
        ("grouping.fields", config.grouping.fields),
    ):
        for field in fields:
            if not FIELD_NAME.match(field):
                yield f"{key}: found {field!r}, expected a Falco output field such as k8s.pod.name"
    for pattern in config.redaction.patterns:
        try:
            Pattern(pattern)
        except ValueError as exc:
            yield f"redaction.patterns: {exc}"


def _addresses(config: Config) -> Iterator[str]:
    listening: list[Address] = []
    for key, text in (
        ("web.listen_address", config.web.listen_address),
        ("web.reports_address", config.web.reports_address),
        ("web.probe_address", config.web.probe_address),
        ("http.address", config.http.address),
        ("serve_grpc.address", config.serve_grpc.address),
    ):
        if not text:
            continue
        try:
            address = Address.from_text(text, key)
        except ConfigError as exc:
            yield str(exc)
            continue
        for other in filter(address.clashes_with, listening):
            yield f"{key}: found {text!r}, expected an address that {other.setting} ({other}) does not use already"
        listening.append(address)
    for key, url in (("web.external_url", config.web.external_url), ("web.grafana_url", config.web.grafana_url)):
        if url and not re.match(r"https?://[^\s/]+", url):
            yield f"{key}: found {url!r}, expected an address that starts with http:// or https://"
        elif "@" in url.partition("://")[2].partition("/")[0]:
            yield f"{key}: expected an address without user and password, since it is shown on pages and in metrics"
    if config.http.path and not config.http.path.startswith("/"):
        yield f"http.path: found {config.http.path!r}, expected a path that starts with /"


def _targets(config: Config) -> Iterator[str]:
    doubled = [label for label, count in Counter(target.label for target in config.targets).items() if count > 1]
    for label in doubled:
        yield f"targets: {label!r} is listed twice; Falco would split its alerts between the two connections"
    for target in config.targets:
        yield from _target(target)


def _target(target: FalcoTarget) -> Iterator[str]:
    where = f"targets: {target.label}"
    try:
        address = Address.from_text(target.address, where)
    except ConfigError as exc:
        yield str(exc)
        return
    if not address.path and not address.host:
        yield f"{where}: found the address {target.address!r}, expected HOST:PORT or unix:///run/falco/falco.sock"
    elif not address.path:
        missing = [name for name in ("ca_file", "cert_file", "key_file") if getattr(target.tls, name) is None]
        if missing:
            yield (
                f"{where}: Falco's gRPC server on TCP asks for a client certificate; missing {', '.join(missing)} "
                "(under the target's tls, or grpc.tls for all)"
            )


def _files(config: Config) -> Iterator[str]:
    for target in config.targets:
        for name in ("ca_file", "cert_file", "key_file"):
            yield from _readable(f"targets: {target.label}: tls.{name}", getattr(target.tls, name))
    for section, tls in (("http", config.http.tls), ("serve_grpc", config.serve_grpc.tls)):
        yield from _tls_server(section, tls)
    for endpoint in config.endpoints:
        yield from _readable(f"endpoints: {endpoint.name}: headers_file", endpoint.headers_file)
        for name in ("ca_file", "cert_file", "key_file"):
            yield from _readable(f"endpoints: {endpoint.name}: tls.{name}", getattr(endpoint.tls, name))
    yield from _readable("web.config_file", config.web.config_file)
    yield from _readable("http.path_file", config.http.path_file)
    yield from _readable("http.bearer_token_file", config.http.bearer_token_file)
    yield from _readable("http.basic_auth_password_file", config.http.basic_auth_password_file)
    for path in config.metrics.rules_files:
        yield from _rules_files(path)
    for path in config.catalog.directories:
        if not path.is_dir():
            yield f"catalog.directories: {path}: no such directory"


def _rules_files(path: Path) -> Iterator[str]:
    try:
        files = rules_files_in(path)
    except ConfigError as exc:
        yield f"metrics.rules_files: {exc}"
        return
    for file in files:
        yield from _readable("metrics.rules_files", file)


def _tls_server(section: str, tls: TlsServer) -> Iterator[str]:
    for name in ("cert_file", "key_file", "client_ca_file"):
        yield from _readable(f"{section}.tls.{name}", getattr(tls, name))
    if (tls.cert_file is None) != (tls.key_file is None):
        yield f"{section}.tls: cert_file and key_file go together; only one is set"
    if tls.client_ca_file and not tls.cert_file:
        yield f"{section}.tls.client_ca_file: needs cert_file and key_file too"


def _readable(key: str, path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        with path.open("rb"):
            pass
    except OSError as exc:
        yield f"{key}: {path}: {exc.strerror}; expected a readable file"


def _together(config: Config) -> Iterator[str]:
    http, grpc = config.http, config.serve_grpc
    if bool(http.basic_auth_user) != bool(http.basic_auth_password_file):
        yield "http.basic_auth_user and http.basic_auth_password_file go together; only one is set"
    if http.bearer_token_file and http.basic_auth_user:
        yield "http.bearer_token_file and http.basic_auth_user exclude each other; set one"
    if http.path and http.path_file:
        yield "http.path and http.path_file exclude each other; set one"
    if config.json_lines.stdin and config.json_lines.file:
        yield "json_lines.stdin and json_lines.file exclude each other; set one"
    tcp = bool(grpc.address) and not grpc.address.startswith("unix:")
    if tcp and not (grpc.tls.cert_file and grpc.tls.client_ca_file):
        yield "serve_grpc.address: on TCP serve_grpc.tls needs cert_file, key_file and client_ca_file (mutual TLS)"
