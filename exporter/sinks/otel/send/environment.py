"""Which OTLP endpoint, over which transport: our settings and the standard ``OTEL_*`` variables put together.

Owns the precedence (ours first, then the variable for logs, then the general
one) and every mistake that can be known before a socket opens. Refuses to read
the process's environment: it is given. An empty variable counts as not set.

Sources: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from exporter.config.model import Config, Otlp, OtlpEndpoint
from exporter.config.routes import DEFAULT
from exporter.errors import ConfigError
from exporter.listener.pem import PemFile, check_files
from exporter.sinks.otel.send.endpoint import (
    DEFLATE,
    GRPC,
    GZIP,
    HTTP,
    NO_COMPRESSION,
    Endpoint,
    without_user_information,
)

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_ENDPOINTS = {GRPC: "http://localhost:4317", HTTP: "http://localhost:4318"}
_LOGS_PATH = "v1/logs"
_DEFAULT_TIMEOUT_MS = 10_000
_SCHEMES = ("http", "https")
_SECRETS = ("_HEADERS", "_CERTIFICATE", "_CLIENT_KEY")
_HEADER_NAMES = {GRPC: re.compile(r"[0-9a-z_.\-]+\Z"), HTTP: re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")}
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*\Z")


@dataclass(frozen=True, slots=True)
class Batching:
    """How records are joined into requests, and how many wait in memory (``OTEL_BLRP_*``)."""

    records: int = 512
    """Maximum number of records in a request (``OTEL_BLRP_MAX_EXPORT_BATCH_SIZE``)."""
    linger_seconds: float = 0.2
    """How long a few records wait for more, so that a request carries more than one (``OTEL_BLRP_SCHEDULE_DELAY``)."""
    memory_records: int | None = None
    """Maximum number of records that wait in memory, besides the limit in bytes (``OTEL_BLRP_MAX_QUEUE_SIZE``)."""


def why_disabled(settings: Otlp, environ: Mapping[str, str]) -> str:
    """Say why no log records are sent; empty where they are. Raises ConfigError for a value that is not valid."""
    if is_turned_off(environ):
        return "OTEL_SDK_DISABLED is true"
    if settings.endpoint:
        return ""
    exporters = environ.get("OTEL_LOGS_EXPORTER", "").strip().lower()
    if exporters not in {"", "otlp", "none"}:
        raise ConfigError(f"OTEL_LOGS_EXPORTER: expected otlp or none, found {exporters!r}")
    if exporters == "none":
        return "OTEL_LOGS_EXPORTER is none"
    if not _said(environ, "ENDPOINT")[1]:
        return "set otlp.endpoint or OTEL_EXPORTER_OTLP_ENDPOINT to send log records"
    return ""


def is_turned_off(environ: Mapping[str, str]) -> bool:
    """Say whether OpenTelemetry as a whole is turned off. Raises ConfigError for a value that is not valid."""
    return _boolean(environ, "OTEL_SDK_DISABLED")


def to_endpoint(settings: Otlp, environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint that the settings and the variables name. Raises ConfigError for what is not valid."""
    variable, protocol = _said(environ, "PROTOCOL")
    protocol, variable = (settings.protocol, "otlp.protocol") if settings.protocol else (protocol or GRPC, variable)
    if protocol not in _DEFAULT_ENDPOINTS:
        raise ConfigError(f"{variable}: expected {GRPC} or {HTTP}, found {protocol!r}")
    files = [_file(environ, name) for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")]
    check_files(*files)
    authority, certificate, key = files
    return Endpoint(
        protocol,
        _url(settings, environ, protocol),
        headers=_headers(environ, protocol),
        timeout_seconds=_timeout_seconds(environ),
        compression=_compression(environ),
        insecure=_insecure(environ),
        ca_file=authority.path,
        cert_file=certificate.path,
        key_file=key.path,
    )


def to_named_endpoint(named: OtlpEndpoint, settings: Otlp, environ: Mapping[str, str]) -> Endpoint:
    """Return one of the further endpoints. Raises ConfigError for what is not valid.

    Transport, time-out and compression are those of the environment where it says nothing of its own; headers and
    certificates never are: they are secrets of the default endpoint.
    """
    shared = {name: value for name, value in environ.items() if not name.endswith(_SECRETS)}
    base = to_endpoint(replace(settings, endpoint=named.endpoint, protocol=named.protocol or settings.protocol), shared)
    headers: dict[str, str] = {}
    if named.headers_file is not None:
        where = f"endpoints: {named.name}: headers_file"
        text = named.headers_file.read_text(encoding="utf-8", errors="replace")
        headers = _to_headers(text.replace("\n", ","), where, base.protocol)
    tls = named.tls
    where = f"endpoints: {named.name}: tls"
    check_files(
        PemFile(f"{where}.ca_file", tls.ca_file),
        PemFile(f"{where}.cert_file", tls.cert_file),
        PemFile(f"{where}.key_file", tls.key_file),
    )
    return replace(base, headers=headers, ca_file=tls.ca_file, cert_file=tls.cert_file, key_file=tls.key_file)


def to_endpoints(config: Config, environ: Mapping[str, str]) -> dict[str, Endpoint]:
    """Return every endpoint by its name; none where no log records are sent. Raises ConfigError."""
    reason = why_disabled(config.otlp, environ)
    if is_turned_off(environ):
        return {}
    endpoints = {} if reason else {DEFAULT: to_endpoint(config.otlp, environ)}
    return endpoints | {named.name: to_named_endpoint(named, config.otlp, environ) for named in config.endpoints}


def to_batching(environ: Mapping[str, str]) -> Batching:
    """Return what ``OTEL_BLRP_*`` say. Raises ConfigError for what is not valid."""
    default = Batching()
    delay_ms = _number(environ, "OTEL_BLRP_SCHEDULE_DELAY", "a whole number of milliseconds")
    queue = _number(environ, "OTEL_BLRP_MAX_QUEUE_SIZE", "a number of records above 0", least=1)
    batch = _number(environ, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "a number of records above 0", least=1)
    if queue is not None and batch is not None and batch > queue:
        raise ConfigError(
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: expected at most OTEL_BLRP_MAX_QUEUE_SIZE "
            f"({queue} records), found {batch}"
        )
    return Batching(
        min(default.records, queue or default.records) if batch is None else batch,
        default.linger_seconds if delay_ms is None else delay_ms / 1000,
        queue,
    )


def check_resource_variables(environ: Mapping[str, str]) -> None:
    """Raise ConfigError where ``OTEL_RESOURCE_ATTRIBUTES`` is not a list of KEY=VALUE."""
    text = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    for number, item in enumerate((item for item in text.split(",") if item.strip()), 1):
        name, equals, _ = item.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                "OTEL_RESOURCE_ATTRIBUTES: expected KEY=VALUE separated by commas, values percent-encoded; "
                f"found item {number}: {item.strip()!r}"
            )


def _url(settings: Otlp, environ: Mapping[str, str], protocol: str) -> str:
    variable, url = _said(environ, "ENDPOINT")
    # Only the variable for logs holds the whole address: the other two are its base.
    whole = variable == _PREFIX + "LOGS_ENDPOINT"
    if settings.endpoint:
        variable, url, whole = "otlp.endpoint", settings.endpoint, False
    url = url or _DEFAULT_ENDPOINTS[protocol]
    try:
        parts = urlsplit(url)
        complete = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or True)
    except ValueError:
        complete = False
    shown = without_user_information(url)
    if not complete and (protocol == HTTP or settings.endpoint):
        raise ConfigError(f"{variable}: expected http://HOST:PORT, or https://HOST:PORT for TLS, found {shown!r}")
    if protocol == GRPC and "@" in url:
        raise ConfigError(
            f"{variable}: a user name or password in the address ({shown}) is not sent over gRPC; set "
            "OTEL_EXPORTER_OTLP_HEADERS instead, e.g. authorization=Basic%20BASE64"
        )
    if protocol == HTTP and not whole and not parts.path.endswith("/" + _LOGS_PATH):
        url = f"{url.rstrip('/')}/{_LOGS_PATH}"
    return url


def _headers(environ: Mapping[str, str], protocol: str) -> dict[str, str]:
    """Read KEY=VALUE separated by commas, percent-encoded. No complaint shows a value: it may be a secret."""
    variable, text = _said(environ, "HEADERS")
    return _to_headers(text, variable, protocol)


def _to_headers(text: str, variable: str, protocol: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for number, item in enumerate((item for item in text.split(",") if item.strip()), 1):
        name, equals, value = (part.strip() for part in item.partition("="))
        name, value = unquote(name).strip().lower(), unquote(value).strip()
        if not equals or not _HEADER_NAMES[protocol].match(name) or not _HEADER_VALUE.match(value):
            raise ConfigError(
                f"{variable}: expected KEY=VALUE separated by commas, values percent-encoded, e.g. "
                f"authorization=Bearer%20TOKEN; item {number} is not of that form (not shown, it may be a secret)"
            )
        headers[name] = value
    return headers


def _timeout_seconds(environ: Mapping[str, str]) -> float | None:
    """Return the time for one request: the smaller of the exporter's and the batch processor's; 0 is no limit."""
    expected = "a whole number of milliseconds"
    own = _number(environ, _said(environ, "TIMEOUT")[0], expected)
    limits = [_DEFAULT_TIMEOUT_MS if own is None else own, _number(environ, "OTEL_BLRP_EXPORT_TIMEOUT", expected) or 0]
    return min((limit / 1000 for limit in limits if limit), default=None)


def _compression(environ: Mapping[str, str]) -> str:
    variable, value = _said(environ, "COMPRESSION")
    compression = value.lower() or NO_COMPRESSION
    if compression not in {NO_COMPRESSION, GZIP, DEFLATE}:
        raise ConfigError(f"{variable}: expected {NO_COMPRESSION}, {GZIP} or {DEFLATE}, found {value!r}")
    return compression


def _insecure(environ: Mapping[str, str]) -> bool:
    return _boolean(environ, _said(environ, "INSECURE")[0])


def _file(environ: Mapping[str, str], name: str) -> PemFile:
    variable, text = _said(environ, name)
    return PemFile(variable, Path(text) if text else None)


def _boolean(environ: Mapping[str, str], variable: str) -> bool:
    value = environ.get(variable, "").strip()
    if value.lower() not in {"", "true", "false"}:
        raise ConfigError(f"{variable}: expected true or false, found {value!r}")
    return value.lower() == "true"


def _number(environ: Mapping[str, str], variable: str, expected: str, *, least: int = 0) -> int | None:
    value = environ.get(variable, "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) >= least):
        raise ConfigError(f"{variable}: expected {expected}, found {value!r}")
    return int(value)


def _said(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the variable that counts, the one for logs before the general one, and its value."""
    for variable in (f"{_PREFIX}LOGS_{name}", _PREFIX + name):
        if value := environ.get(variable, "").strip():
            return variable, value
    return _PREFIX + name, ""
