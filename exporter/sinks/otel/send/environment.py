"""Which OTLP endpoint, over which transport: our settings and the standard variables put together.

Owns the precedence (ours first) and what can be known to be wrong before a
socket opens. Refuses to read the process's environment: it is given. What is
left to the exporters (headers, compression, time-out) they read themselves.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from exporter.config.model import Otlp
from exporter.errors import ConfigError

GRPC, HTTP = "grpc", "http/protobuf"
_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_ENDPOINTS = {GRPC: "http://localhost:4317", HTTP: "http://localhost:4318"}
_LOGS_PATH = "v1/logs"
_FILES = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")


def otlp_enabled(settings: Otlp, environ: Mapping[str, str]) -> bool:
    """Say whether log records are wanted: an endpoint is set, and OpenTelemetry is not turned off."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if settings.endpoint:
        return True
    return environ.get("OTEL_LOGS_EXPORTER", "").strip().lower() != "none" and bool(_said(environ, "ENDPOINT")[1])


def with_environment(settings: Otlp, environ: Mapping[str, str]) -> Otlp:
    """Return the settings with ``protocol`` and ``endpoint`` filled in, the endpoint as it will be called.

    Raises ConfigError for a transport that there is not, an endpoint without
    a scheme, or a certificate file that is not there (the SDK would go on without).
    """
    variable, protocol = _said(environ, "PROTOCOL")
    protocol, variable = (settings.protocol, "otlp.protocol") if settings.protocol else (protocol or GRPC, variable)
    if protocol not in _DEFAULT_ENDPOINTS:
        raise ConfigError(f"{variable}: expected {GRPC} or {HTTP}, found {protocol!r}")
    _check_files(environ)
    return replace(settings, protocol=protocol, endpoint=_endpoint(settings, environ, protocol))


def _endpoint(settings: Otlp, environ: Mapping[str, str], protocol: str) -> str:
    variable, endpoint = _said(environ, "ENDPOINT")
    # Only the variable for logs alone holds the whole address: the other two are its base.
    whole = variable == _PREFIX + "LOGS_ENDPOINT"
    if settings.endpoint:
        variable, endpoint, whole = "otlp.endpoint", settings.endpoint, False
    endpoint = endpoint or _DEFAULT_ENDPOINTS[protocol]
    parts = urlsplit(endpoint)
    if protocol == HTTP and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise ConfigError(f"{variable}: expected http://HOST:PORT or https://HOST:PORT, found {endpoint!r}")
    if protocol == GRPC and settings.endpoint and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise ConfigError(f"{variable}: expected http://HOST:PORT, or https://HOST:PORT for TLS, found {endpoint!r}")
    if protocol == HTTP and not whole and not parts.path.endswith("/" + _LOGS_PATH):
        endpoint = f"{endpoint.rstrip('/')}/{_LOGS_PATH}"
    return endpoint


def _check_files(environ: Mapping[str, str]) -> None:
    for name in _FILES:
        variable, path = _said(environ, name)
        if path and not Path(path).is_file():
            raise ConfigError(f"{variable}: expected a PEM file, found no file {path!r}; correct the path or unset it")


def _said(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the variable that counts, the one for logs before the general one, and its value."""
    for variable in (f"{_PREFIX}LOGS_{name}", _PREFIX + name):
        if value := environ.get(variable, "").strip():
            return variable, value
    return _PREFIX + name, ""
