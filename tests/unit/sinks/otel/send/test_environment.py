"""Which endpoint and transport: our settings before the standard variables, each with the meaning that it has there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.config.model import Config, Otlp, OtlpEndpoint, TlsClient
from exporter.errors import ConfigError
from exporter.sinks.otel.send.endpoint import Endpoint
from exporter.sinks.otel.send.envelope import to_resource
from exporter.sinks.otel.send.environment import (
    Batching,
    check_resource_variables,
    to_batching,
    to_endpoint,
    to_endpoints,
    to_named_endpoint,
    why_disabled,
)
from tests.integration.certificates import Authority, Pair
from tests.unit.sinks.otel.send.variables import BASE, LOGS, PREFIX, PROTOCOL


@pytest.mark.parametrize(
    ("endpoint", "environ", "reason"),
    [
        ("", {}, "set otlp.endpoint or OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("http://c:4317", {}, ""),
        ("", {BASE: "http://c:4317"}, ""),
        ("", {LOGS: "http://c:4318/v1/logs"}, ""),
        ("", {BASE: " "}, "set otlp.endpoint or OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("", {BASE: "http://c:4317", "OTEL_LOGS_EXPORTER": "none"}, "OTEL_LOGS_EXPORTER is none"),
        ("http://c:4317", {"OTEL_SDK_DISABLED": "TRUE"}, "OTEL_SDK_DISABLED is true"),
        ("http://c:4317", {"OTEL_SDK_DISABLED": "false"}, ""),
        ("http://c:4317", {"OTEL_SDK_DISABLED": ""}, ""),
    ],
)
def test_log_records_are_on_where_an_endpoint_is_set(endpoint: str, environ: dict[str, str], reason: str) -> None:
    """No endpoint anywhere means off; OpenTelemetry's own switches turn it off too; each time with the reason."""
    found = why_disabled(Otlp(endpoint=endpoint), environ)
    assert found.startswith(reason) if reason else not found


@pytest.mark.parametrize(
    ("settings", "environ", "protocol", "endpoint"),
    [
        (Otlp(), {BASE: "http://c:4317"}, "grpc", "http://c:4317"),
        (Otlp(protocol="http/protobuf"), {BASE: "http://c:4318"}, "http/protobuf", "http://c:4318/v1/logs"),
        (Otlp(protocol="http/protobuf"), {LOGS: "http://c/own"}, "http/protobuf", "http://c/own"),
        (Otlp(), {BASE: "http://c:4318/", PROTOCOL: "http/protobuf"}, "http/protobuf", "http://c:4318/v1/logs"),
        (Otlp(), {BASE: "http://c/X", PROTOCOL: "http/protobuf"}, "http/protobuf", "http://c/X/v1/logs"),
        (Otlp(protocol="http/protobuf"), {}, "http/protobuf", "http://localhost:4318/v1/logs"),
        (Otlp(endpoint="http://o", protocol="grpc"), {LOGS: "http://c", PROTOCOL: "http/protobuf"}, "grpc", "http://o"),
        (
            Otlp(endpoint="http://loki:3100/otlp", protocol="http/protobuf"),
            {},
            "http/protobuf",
            "http://loki:3100/otlp/v1/logs",
        ),
        (
            Otlp(endpoint="http://loki:3100/otlp/v1/logs", protocol="http/protobuf"),
            {LOGS: "http://c/own"},
            "http/protobuf",
            "http://loki:3100/otlp/v1/logs",
        ),
    ],
)
def test_settings_go_before_variables(settings: Otlp, environ: dict[str, str], protocol: str, endpoint: str) -> None:
    """Our endpoint and transport first, then the variables for logs, then the general ones, then the defaults."""
    found = to_endpoint(settings, environ)
    assert (found.protocol, found.url) == (protocol, endpoint)


def test_headers_are_percent_decoded_and_those_for_logs_go_first() -> None:
    """KEY=VALUE with commas between; an equals sign may be part of a value; spaces around do not count."""
    said = {f"{PREFIX}HEADERS": "a=1", f"{PREFIX}LOGS_HEADERS": " X-Scope = t%2C1 , authorization=Basic%20YQ==,"}
    assert to_endpoint(Otlp(), said).headers == {"x-scope": "t,1", "authorization": "Basic YQ=="}
    assert to_endpoint(Otlp(), {f"{PREFIX}HEADERS": "a=1"}).headers == {"a": "1"}


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 10.0),
        ({"TIMEOUT": "3000"}, 3.0),
        ({"TIMEOUT": "3000", "LOGS_TIMEOUT": "250"}, 0.25),
        ({"TIMEOUT": "0"}, None),
        ({"TIMEOUT": ""}, 10.0),
        ({"TIMEOUT": "60000", "OTEL_BLRP_EXPORT_TIMEOUT": "30000"}, 30.0),
        ({"TIMEOUT": "0", "OTEL_BLRP_EXPORT_TIMEOUT": "2000"}, 2.0),
    ],
)
def test_timeouts_are_milliseconds_and_0_is_no_limit(environ: dict[str, str], seconds: float | None) -> None:
    """As the specification says; the batch processor's limit counts where it is the smaller one."""
    said = {key if key.startswith("OTEL_") else PREFIX + key: value for key, value in environ.items()}
    assert to_endpoint(Otlp(), said).timeout_seconds == seconds


@pytest.mark.parametrize(
    ("environ", "compression"),
    [
        ({}, "none"),
        ({"COMPRESSION": "gzip"}, "gzip"),
        ({"COMPRESSION": "GZIP", "LOGS_COMPRESSION": "none"}, "none"),
        ({"LOGS_COMPRESSION": "deflate"}, "deflate"),
    ],
)
def test_compression_names(environ: dict[str, str], compression: str) -> None:
    """The specification's names, the one for logs first."""
    said = {PREFIX + key: value for key, value in environ.items()}
    assert to_endpoint(Otlp(), said).compression == compression


@pytest.mark.parametrize(
    ("endpoint", "insecure", "has_tls"),
    [
        ("http://c:4317", "", False),
        ("https://c:4317", "true", True),
        ("c:4317", "", True),
        ("c:4317", "false", True),
        ("c:4317", "true", False),
        ("dns:///c:4317", "true", False),
    ],
)
def test_the_scheme_goes_before_insecure(endpoint: str, insecure: str, has_tls: bool) -> None:
    """INSECURE counts only where a gRPC address has no scheme of its own."""
    assert to_endpoint(Otlp(), {BASE: endpoint, f"{PREFIX}INSECURE": insecure}).has_tls is has_tls


@pytest.mark.parametrize(
    ("environ", "batching"),
    [
        ({}, Batching(512, 0.2, None)),
        ({"SCHEDULE_DELAY": "1500"}, Batching(512, 1.5, None)),
        ({"MAX_EXPORT_BATCH_SIZE": "64"}, Batching(64, 0.2, None)),
        ({"MAX_QUEUE_SIZE": "2048", "MAX_EXPORT_BATCH_SIZE": "2048"}, Batching(2048, 0.2, 2048)),
        ({"MAX_QUEUE_SIZE": "100"}, Batching(100, 0.2, 100)),
    ],
)
def test_the_batch_processors_variables_count(environ: dict[str, str], batching: Batching) -> None:
    """Delay in milliseconds, batch and queue in records; a queue smaller than the default batch makes that smaller."""
    assert to_batching({f"OTEL_BLRP_{key}": value for key, value in environ.items()}) == batching


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Pair]:
    """Two certificates with their keys."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    return authority.make_client("a"), authority.make_client("b")


def test_a_certificate_that_is_there_is_no_mistake(pairs: tuple[Pair, Pair]) -> None:
    """Only a file that cannot be used is complained about."""
    file = pairs[0].cert_file
    assert to_endpoint(Otlp(), {f"{PREFIX}CERTIFICATE": str(file)}).ca_file == file


def test_the_resource_is_stable_and_the_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same instance id at each start; OTEL_* before our defaults, our setting before OTEL_*."""
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    plain = to_resource(host_name="node-1").attributes
    assert (plain["service.name"], plain["service.instance.id"]) == ("falco", "node-1")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=x,service.version=9,k8s.cluster.name=c")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named")
    said = to_resource(host_name="node-1").attributes
    assert (said["service.name"], said["service.instance.id"], said["service.version"]) == ("named", "x", "9")
    assert said["k8s.cluster.name"] == "c"
    assert to_resource("ours").attributes["service.name"] == "ours"


@pytest.mark.parametrize(
    "name", ["ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "INSECURE", "CERTIFICATE", "CLIENT"]
)
def test_each_variable_counts_and_the_one_for_logs_goes_first(pairs: tuple[Pair, Pair], name: str) -> None:
    """``OTEL_EXPORTER_OTLP_LOGS_…`` before ``OTEL_EXPORTER_OTLP_…``, for every one that the documentation names."""
    a, b = pairs
    said: dict[str, tuple[dict[str, str], dict[str, str], Callable[[Endpoint], object], object, object]] = {
        "ENDPOINT": ({"ENDPOINT": "http://a:1"}, {"ENDPOINT": "http://b:2"}, lambda e: e.url, "http://a:1", "http://b:2"),
        "PROTOCOL": (
            {"PROTOCOL": "grpc"}, {"PROTOCOL": "http/protobuf"}, lambda e: e.protocol, "grpc", "http/protobuf",
        ),
        "HEADERS": ({"HEADERS": "k=a"}, {"HEADERS": "k=b"}, lambda e: dict(e.headers), {"k": "a"}, {"k": "b"}),
        "TIMEOUT": ({"TIMEOUT": "1500"}, {"TIMEOUT": "2500"}, lambda e: e.timeout_seconds, 1.5, 2.5),
        "COMPRESSION": (
            {"COMPRESSION": "gzip"}, {"COMPRESSION": "deflate"}, lambda e: e.compression, "gzip", "deflate",
        ),
        "INSECURE": ({"INSECURE": "true"}, {"INSECURE": "false"}, lambda e: e.insecure, True, False),
        "CERTIFICATE": (
            {"CERTIFICATE": str(a.cert_file)}, {"CERTIFICATE": str(b.cert_file)},
            lambda e: e.ca_file, a.cert_file, b.cert_file,
        ),
        "CLIENT": (
            {"CLIENT_CERTIFICATE": str(a.cert_file), "CLIENT_KEY": str(a.key_file)},
            {"CLIENT_CERTIFICATE": str(b.cert_file), "CLIENT_KEY": str(b.key_file)},
            lambda e: (e.cert_file, e.key_file),
            (a.cert_file, a.key_file),
            (b.cert_file, b.key_file),
        ),
    }  # fmt: skip
    general, logs, read, expected, expected_of_logs = said[name]
    environ = {PREFIX + key: value for key, value in general.items()}
    assert read(to_endpoint(Otlp(), environ)) == expected
    environ |= {f"{PREFIX}LOGS_{key}": value for key, value in logs.items()}
    assert read(to_endpoint(Otlp(), environ)) == expected_of_logs
    environ |= {f"{PREFIX}LOGS_{key}": " " for key in logs}
    assert read(to_endpoint(Otlp(), environ)) == expected


def test_the_documentation_names_the_variables_that_are_read() -> None:
    """Each that the table has is one of those in these tests, and none is missing."""
    page = (Path(__file__).parents[5] / "docs" / "log-records.md").read_text("utf-8")
    table = page.partition("**The standard variables**")[2].partition("Proxies:")[0]
    named = set(
        re.findall(
            r"`((?:…|OTEL)_[A-Z_]+)(?:=\w+)?`",
            table.partition("|---|")[2].replace("where it is smaller than `…_TIMEOUT`", ""),
        )
    )
    assert named == {
        *(f"…_{name}" for name in ("ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "INSECURE")),
        *("…_CERTIFICATE", "…_CLIENT_CERTIFICATE", "…_CLIENT_KEY"),
        *("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED", "OTEL_LOGS_EXPORTER"),
        *("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "OTEL_BLRP_SCHEDULE_DELAY"),
        *("OTEL_BLRP_EXPORT_TIMEOUT", "OTEL_BLRP_MAX_QUEUE_SIZE"),
    }  # fmt: skip


def test_a_list_of_headers_is_read_to_its_end() -> None:
    """Empty items do not count, the last of two equal names does, and what is not valid is named by its place."""
    assert to_endpoint(Otlp(), {f"{PREFIX}HEADERS": ",a=1,,A=2, b = x=y ,c="}).headers == {
        "a": "2",
        "b": "x=y",
        "c": "",
    }
    with pytest.raises(ConfigError, match="item 2 is not of that form"):
        to_endpoint(Otlp(), {f"{PREFIX}HEADERS": "a=1,,b"})


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("name", ["a+b", "a!b"])
def test_header_names_are_those_of_the_transport(protocol: str, name: str) -> None:
    """gRPC takes fewer characters than HTTP does."""
    settings, environ = Otlp(protocol=protocol), {f"{PREFIX}HEADERS": f"{name}=1"}
    if protocol == "grpc":
        with pytest.raises(ConfigError):
            to_endpoint(settings, environ)
    else:
        assert to_endpoint(settings, environ).headers == {name: "1"}


@pytest.mark.parametrize(("value", "seconds"), [("000000001", 0.001), ("999999999", 999_999.999)])
def test_a_time_has_at_most_nine_digits(value: str, seconds: float) -> None:
    """More is a mistake and not a time."""
    assert to_endpoint(Otlp(), {f"{PREFIX}TIMEOUT": value}).timeout_seconds == seconds
    for wrong in (f"{value}0", "\u0663", "+1", "1_0"):
        with pytest.raises(ConfigError, match=f"{PREFIX}TIMEOUT: expected a whole number of milliseconds"):
            to_endpoint(Otlp(), {f"{PREFIX}TIMEOUT": wrong})


def test_a_named_endpoint_has_the_environments_transport_and_none_of_its_secrets(
    tmp_path: Path, pairs: tuple[Pair, Pair]
) -> None:
    """Headers and certificates come from its own settings; its protocol before the shared one."""
    headers = tmp_path / "headers"
    headers.write_text("x-scope=t\nauthorization=Bearer%20b\n")
    file = pairs[0].cert_file
    environ = {
        f"{PREFIX}LOGS_HEADERS": "a=secret",
        f"{PREFIX}CERTIFICATE": str(file),
        f"{PREFIX}CLIENT_CERTIFICATE": str(file),
        f"{PREFIX}CLIENT_KEY": str(pairs[0].key_file),
        f"{PREFIX}TIMEOUT": "1000",
        f"{PREFIX}COMPRESSION": "gzip",
        PROTOCOL: "http/protobuf",
    }
    named = OtlpEndpoint(name="other", endpoint="http://other:4318", headers_file=headers)
    found = to_named_endpoint(named, Otlp(endpoint="http://default:1"), environ)
    assert (found.protocol, found.url) == ("http/protobuf", "http://other:4318/v1/logs")
    assert found.headers == {"x-scope": "t", "authorization": "Bearer b"}
    assert (found.timeout_seconds, found.compression) == (1.0, "gzip")
    assert (found.ca_file, found.cert_file, found.key_file) == (None, None, None)
    own = replace(named, protocol="grpc", headers_file=None, tls=TlsClient(ca_file=file))
    found = to_named_endpoint(own, Otlp(protocol="http/protobuf"), environ)
    assert (found.protocol, found.headers, found.ca_file) == ("grpc", {}, file)
    assert to_named_endpoint(named, Otlp(protocol="grpc"), {}).protocol == "grpc"


def test_the_smallest_sizes_are_one() -> None:
    """One record at a time, one in the queue; and no attributes are no mistake."""
    assert to_batching({"OTEL_BLRP_MAX_QUEUE_SIZE": "1", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "1"}) == Batching(1, 0.2, 1)
    check_resource_variables({})
    check_resource_variables({"OTEL_RESOURCE_ATTRIBUTES": "a=b=c,d="})


def test_the_word_otlp_is_the_default() -> None:
    """Said or not, records are sent."""
    assert why_disabled(Otlp(), {BASE: "http://c:4317", "OTEL_LOGS_EXPORTER": "otlp"}) == ""


def test_a_named_endpoint_has_its_own_certificates_and_says_where_a_header_is_wrong(
    tmp_path: Path, pairs: tuple[Pair, Pair]
) -> None:
    """All three files; a complaint names the endpoint; bytes that are no UTF-8 are a complaint, and no traceback."""
    ca_file, cert_file, key_file = pairs[1].cert_file, pairs[0].cert_file, pairs[0].key_file
    headers = tmp_path / "headers"
    named = OtlpEndpoint("soc", "https://soc:4317", tls=TlsClient(ca_file, cert_file, key_file), headers_file=headers)
    headers.write_bytes("x-scope=t\nname\u00e9=1".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^endpoints: soc: headers_file: expected KEY=VALUE .*item 2 is not of that"):
        to_named_endpoint(named, Otlp(), {})
    headers.write_text("x-scope=t")
    found = to_named_endpoint(named, Otlp(), {})
    assert (found.ca_file, found.cert_file, found.key_file) == (ca_file, cert_file, key_file)


def test_named_endpoints_stand_beside_the_one_without_a_name() -> None:
    """Each may be the only one; where the SDK is turned off there is none."""
    named = (OtlpEndpoint(name="audit", endpoint="http://a:4317"),)
    both = to_endpoints(Config(endpoints=named), {BASE: "http://c:4317"})
    assert {name: found.url for name, found in both.items()} == {"default": "http://c:4317", "audit": "http://a:4317"}
    assert list(to_endpoints(Config(endpoints=named), {})) == ["audit"]
    assert list(to_endpoints(Config(), {BASE: "http://c:4317"})) == ["default"]
    assert to_endpoints(Config(), {}) == {}
    assert to_endpoints(Config(endpoints=named), {BASE: "http://c:4317", "OTEL_SDK_DISABLED": "true"}) == {}
