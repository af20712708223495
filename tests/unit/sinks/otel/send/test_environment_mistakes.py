"""Mistakes in settings and variables: an error before a socket opens, which shows no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.model import Otlp, OtlpEndpoint, TlsClient
from exporter.errors import ConfigError
from exporter.sinks.otel.send.environment import (
    check_resource_variables,
    to_batching,
    to_endpoint,
    to_named_endpoint,
    why_disabled,
)
from tests.integration.certificates import Authority
from tests.unit.sinks.otel.send.variables import BASE, PREFIX, PROTOCOL


@pytest.mark.parametrize(
    ("settings", "environ", "words"),
    [
        (Otlp(), {PROTOCOL: "http/json"}, [PROTOCOL, "http/json", "http/protobuf"]),
        (Otlp(endpoint="collector:4317"), {}, ["otlp.endpoint", "collector:4317", "http://HOST:PORT"]),
        (Otlp(protocol="http/protobuf"), {BASE: "c:4318"}, [BASE, "c:4318"]),
        (Otlp(protocol="http/protobuf"), {BASE: "http://c:99999"}, [BASE, "http://c:99999"]),
        (Otlp(), {f"{PREFIX}CERTIFICATE": "/nowhere.pem"}, ["CERTIFICATE", "/nowhere.pem", "No such file"]),
        (Otlp(), {f"{PREFIX}LOGS_CLIENT_KEY": "/"}, ["LOGS_CLIENT_KEY", "Is a directory"]),
        (Otlp(), {f"{PREFIX}CERTIFICATE": "/etc/passwd"}, ["CERTIFICATE", "expected a PEM file", "/etc/passwd"]),
        (Otlp(), {f"{PREFIX}CERTIFICATE": "/a\0b"}, ["CERTIFICATE", "null byte"]),
        (Otlp(), {f"{PREFIX}TIMEOUT": "10s"}, [f"{PREFIX}TIMEOUT", "milliseconds", "'10s'"]),
        (Otlp(), {f"{PREFIX}LOGS_TIMEOUT": "0.5"}, [f"{PREFIX}LOGS_TIMEOUT", "milliseconds", "'0.5'"]),
        (Otlp(), {f"{PREFIX}TIMEOUT": "-1"}, [f"{PREFIX}TIMEOUT", "'-1'"]),
        (Otlp(), {"OTEL_BLRP_EXPORT_TIMEOUT": "x"}, ["OTEL_BLRP_EXPORT_TIMEOUT", "milliseconds", "'x'"]),
        (Otlp(), {f"{PREFIX}COMPRESSION": "zstd"}, [f"{PREFIX}COMPRESSION", "gzip", "deflate", "'zstd'"]),
        (Otlp(), {f"{PREFIX}INSECURE": "yes"}, [f"{PREFIX}INSECURE", "true or false", "'yes'"]),
    ],
)
def test_mistakes_are_named_before_a_socket_opens(settings: Otlp, environ: dict[str, str], words: list[str]) -> None:
    """One line says where it was set, what was found and what was expected."""
    with pytest.raises(ConfigError) as caught:
        to_endpoint(settings, environ)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize(
    "headers",
    [
        "Authorization: Bearer hunter2",
        "a=b,hunter2",
        "=hunter2",
        "x y=hunter2",
        "authorization=hunter2%0d%0ax-evil: 1",
        "authorization=hunter2%ff",
    ],
)
def test_headers_that_cannot_be_read_are_an_error_that_shows_no_secret(protocol: str, headers: str) -> None:
    """A colon for the equals sign, a line feed in a value: named by its place, never by its text."""
    with pytest.raises(ConfigError) as caught:
        to_endpoint(Otlp(protocol=protocol), {f"{PREFIX}HEADERS": headers})
    assert f"{PREFIX}HEADERS" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_certificate_and_key_go_together(tmp_path: Path) -> None:
    """Half a client certificate is an error."""
    pair = Authority(tmp_path).make_client()
    with pytest.raises(ConfigError, match="go together"):
        to_endpoint(Otlp(), {f"{PREFIX}CLIENT_CERTIFICATE": str(pair.cert_file)})
    both = {f"{PREFIX}CLIENT_CERTIFICATE": str(pair.cert_file), f"{PREFIX}LOGS_CLIENT_KEY": str(pair.key_file)}
    assert to_endpoint(Otlp(), both).cert_file == pair.cert_file


def test_a_named_endpoints_files_are_looked_at_like_those_of_the_variables(tmp_path: Path) -> None:
    """An authority that is not PEM, and another one's key: named with endpoint and setting."""
    authority = Authority(tmp_path)
    pair, other = authority.make_client("a"), authority.make_client("b")
    not_pem = tmp_path / "ca.der"
    not_pem.write_bytes(b"0\x82")
    for tls, words in (
        (TlsClient(ca_file=not_pem), "endpoints: soc: tls.ca_file: expected a PEM file"),
        (TlsClient(cert_file=not_pem, key_file=pair.key_file), "endpoints: soc: tls.cert_file: expected a PEM file"),
        (
            TlsClient(authority.cert_file, pair.cert_file, other.key_file),
            "endpoints: soc: tls.cert_file and endpoints: soc: tls.key_file: expected a certificate and its own",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            to_named_endpoint(OtlpEndpoint("soc", "https://soc:4317", tls=tls), Otlp(), {})
        assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SCHEDULE_DELAY": "1s"}, ["SCHEDULE_DELAY", "'1s'"]),
        ({"MAX_QUEUE_SIZE": "0"}, ["MAX_QUEUE_SIZE", "'0'"]),
        ({"MAX_EXPORT_BATCH_SIZE": "-1"}, ["MAX_EXPORT_BATCH_SIZE", "'-1'"]),
        ({"MAX_QUEUE_SIZE": "10", "MAX_EXPORT_BATCH_SIZE": "11"}, ["MAX_EXPORT_BATCH_SIZE", "at most", "11"]),
    ],
)
def test_the_batch_processors_mistakes_are_named(environ: dict[str, str], words: list[str]) -> None:
    """The variable, and what was found."""
    with pytest.raises(ConfigError) as caught:
        to_batching({f"OTEL_BLRP_{key}": value for key, value in environ.items()})
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(("variable", "value"), [("OTEL_SDK_DISABLED", "1"), ("OTEL_LOGS_EXPORTER", "console")])
def test_switches_that_are_not_valid_are_named(variable: str, value: str) -> None:
    """Neither is taken for something else."""
    with pytest.raises(ConfigError, match=f"{variable}: expected .*{value}"):
        why_disabled(Otlp(), {BASE: "http://c", variable: value})


@pytest.mark.parametrize("value", ["a", "a=b,c", "=b", "=b=c"])
def test_resource_attributes_that_cannot_be_read_are_an_error(value: str) -> None:
    """The SDK would leave them out with a warning of its own."""
    with pytest.raises(ConfigError, match="OTEL_RESOURCE_ATTRIBUTES: expected KEY=VALUE"):
        check_resource_variables({"OTEL_RESOURCE_ATTRIBUTES": value})
    check_resource_variables({"OTEL_RESOURCE_ATTRIBUTES": "a=b%20c, d=,"})


@pytest.mark.parametrize(
    "environ",
    [
        {BASE: "https://user:hunter2@c:4317"},
        {BASE: "user:hunter2@c:4317"},
        {BASE: "ftp://user:hunter2@c/x", PROTOCOL: "http/protobuf"},
    ],
)
def test_no_complaint_about_an_address_shows_its_password(environ: dict[str, str]) -> None:
    """gRPC has no place for it, HTTP wants http or https."""
    with pytest.raises(ConfigError) as caught:
        to_endpoint(Otlp(), environ)
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_shows_no_secret() -> None:
    """Neither its repr nor what people see has headers or a password."""
    environ = {BASE: "https://user:hunter2@c:4318", PROTOCOL: "http/protobuf", f"{PREFIX}HEADERS": "a=hunter3"}
    endpoint = to_endpoint(Otlp(), environ)
    assert endpoint.shown == "https://c:4318/v1/logs"
    assert "hunter" not in repr(endpoint)


def own_batching(environ: dict[str, str]) -> object:
    return to_batching({f"OTEL_BLRP_{key}": value for key, value in environ.items()})


def of_settings(environ: dict[str, str]) -> object:
    """The endpoint of a file's settings, which these stand for."""
    return to_endpoint(Otlp(**environ), {})


@pytest.mark.parametrize(
    ("read", "environ", "complaint"),
    [
        (of_settings, {"protocol": "http"}, "otlp.protocol: expected grpc or http/protobuf, found 'http'"),
        (
            of_settings,
            {"endpoint": "c:4317"},
            "otlp.endpoint: expected http://HOST:PORT, or https://HOST:PORT for TLS, found 'c:4317'",
        ),
        (
            of_settings,
            {"endpoint": "http://u:p@c:4317"},
            "otlp.endpoint: a user name or password in the address (http://c:4317) is not sent over gRPC; set "
            "OTEL_EXPORTER_OTLP_HEADERS instead, e.g. authorization=Basic%20BASE64",
        ),
        (
            own_batching,
            {"SCHEDULE_DELAY": "1s"},
            "OTEL_BLRP_SCHEDULE_DELAY: expected a whole number of milliseconds, found '1s'",
        ),
        (
            own_batching,
            {"MAX_QUEUE_SIZE": "0"},
            "OTEL_BLRP_MAX_QUEUE_SIZE: expected a number of records above 0, found '0'",
        ),
        (
            own_batching,
            {"MAX_EXPORT_BATCH_SIZE": "0"},
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: expected a number of records above 0, found '0'",
        ),
        (
            own_batching,
            {"MAX_QUEUE_SIZE": "10", "MAX_EXPORT_BATCH_SIZE": "11"},
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: expected at most OTEL_BLRP_MAX_QUEUE_SIZE (10 records), found 11",
        ),
        (
            check_resource_variables,
            {"OTEL_RESOURCE_ATTRIBUTES": "a=b=c, ,d"},
            "OTEL_RESOURCE_ATTRIBUTES: expected KEY=VALUE separated by commas, values percent-encoded; "
            "found item 2: 'd'",
        ),
    ],
)
def test_a_complaint_names_the_variable_what_is_expected_and_what_was_found(
    read: Callable[[dict[str, str]], object], environ: dict[str, str], complaint: str
) -> None:
    """Word for word: an operator acts on it."""
    with pytest.raises(ConfigError) as caught:
        read(environ)
    assert str(caught.value) == complaint
