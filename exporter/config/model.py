"""The settings, typed, with defaults and units.

Owns what can be set and what it means; refuses to know where a value came
from (see ``loader.py``). Each field's metadata carries its help text; the
flag, the environment variable and the YAML key are made from its path, so
that every setting can be given in each of the three ways.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def setting(default: Any, help_text: str, **metadata: Any) -> Any:
    """Declare one setting: its default, one line of help, and e.g. ``choices``."""
    return field(default=default, metadata={"help": help_text, **metadata})


@dataclass(frozen=True)
class TlsClient:
    """Files of a TLS client, PEM."""

    ca_file: Path | None = setting(None, "certificate authority that signed the server's certificate (PEM)")
    cert_file: Path | None = setting(None, "our client certificate (PEM)")
    key_file: Path | None = setting(None, "our client certificate's private key (PEM)")


@dataclass(frozen=True)
class TlsServer:
    """Files of a TLS listener, PEM."""

    cert_file: Path | None = setting(None, "the listener's certificate (PEM)")
    key_file: Path | None = setting(None, "the listener's private key (PEM)")
    client_ca_file: Path | None = setting(None, "ask for client certificates signed by this authority (PEM)")


@dataclass(frozen=True)
class FalcoTarget:
    """One Falco gRPC server."""

    address: str = setting(
        "unix:///run/falco/falco.sock", "Falco's gRPC server: unix:///PATH or HOST:PORT (mutual TLS)"
    )
    name: str = setting("", "the target's name in logs and labels (default: its address)")
    tls: TlsClient = field(default_factory=TlsClient)

    @property
    def label(self) -> str:
        """The name in logs and labels."""
        return self.name or self.address


@dataclass(frozen=True)
class FalcoGrpc:
    """The gRPC source, for every target alike."""

    method: str = setting("get", "gRPC method used to fetch alerts", choices=("get", "sub"))
    poll_ceiling_seconds: float = setting(0.05, "maximum delay between two polls of an idle Falco")
    reconnect_ceiling_seconds: float = setting(30.0, "maximum delay between reconnection attempts")
    window_bytes: int = setting(
        0,
        "read-ahead window in bytes; alerts in it are lost on kill -9 (0: 16384 with a queue on disk, 65536 without)",
    )
    tls: TlsClient = field(default_factory=TlsClient)
    """For every target on TCP that has no files of its own."""


@dataclass(frozen=True)
class FalcoHttp:
    """The listener for Falco's http_output."""

    address: str = setting("", "listen for Falco's http_output here, e.g. :2801 (default: off)")
    path: str = setting("", "take alerts on this path only (default: on any path)")
    path_file: Path | None = setting(None, "file with a secret path; alerts are taken on that path only")
    tls: TlsServer = field(default_factory=TlsServer)
    bearer_token_file: Path | None = setting(
        None, "file with a bearer token, for senders other than Falco, which cannot send one"
    )
    basic_auth_user: str = setting("", "user name that senders must send (Falco: in http_output.url)")
    basic_auth_password_file: Path | None = setting(None, "file with that user's password")
    body_limit_bytes: int = setting(1_048_576, "maximum size of a request's body")
    connection_limit: int = setting(4_096, "maximum number of connections")
    read_timeout_seconds: float = setting(10.0, "maximum time to receive a complete request")
    test_alerts: bool = setting(False, "make a test alert for each POST /test")


@dataclass(frozen=True)
class JsonLines:
    """Alerts as JSON lines."""

    stdin: bool = setting(
        False, "read alerts as JSON lines from standard input (Falco's program_output)", flag="--stdin"
    )
    file: Path | None = setting(None, "follow a file of JSON lines (Falco's file_output)")
    state_file: Path | None = setting(None, "where to remember how far the file was read (default: next to the queue)")


@dataclass(frozen=True)
class Metrics:
    """The Prometheus metrics."""

    extra_labels: tuple[str, ...] = setting(
        (), "output fields to add as labels of falco_events_total, e.g. k8s.pod.name"
    )
    series_limit: int = setting(
        10_000,
        "maximum number of series of falco_events_total, and of falco_host_verdict_events_total; "
        "further events go to one overflow series",
    )
    series_idle_seconds: float = setting(
        86_400.0, "forget a series of these two metrics once it has been idle for this long (0: never)"
    )
    rules_files: tuple[Path, ...] = setting(
        (),
        "Falco's rules files, or directories of them, in Falco's order: their rules start at 0 and are looked up in "
        "the catalog; without any, the stable rules start at 0",
    )
    legacy_falco_events: bool = setting(False, "also expose falco-exporter's falco_events")


@dataclass(frozen=True)
class Otlp:
    """OpenTelemetry log records. What is not set here follows the standard OTEL_* variables."""

    endpoint: str = setting("", "OTLP endpoint, e.g. http://collector:4317 (default: OTEL_EXPORTER_OTLP_*; none: off)")
    protocol: str = setting(
        "", "OTLP transport (default: OTEL_EXPORTER_OTLP_PROTOCOL, else grpc)", choices=("", "grpc", "http/protobuf")
    )
    service_name: str = setting("", "resource attribute service.name (default: OTEL_SERVICE_NAME, else falco)")
    record_limit_bytes: int = setting(
        48_000, "maximum size of a record's attributes in bytes; longer values are cut (Loki refuses 65,536)"
    )
    attribute_limit: int = setting(100, "maximum number of a record's attributes (Loki refuses 128)")
    advice: str = setting(
        "brief",
        "advice in each record: brief (verdict, signs, techniques, the short report), full (every command too), none",
        choices=("brief", "full", "none"),
    )


@dataclass(frozen=True)
class OtlpEndpoint:
    """One further OTLP endpoint, with a queue of its own (``endpoints`` in the file)."""

    name: str
    """What routes, labels and logs call it."""
    endpoint: str
    """``http://HOST:PORT``, or ``https://`` for TLS."""
    protocol: str = ""
    """``grpc`` or ``http/protobuf``; empty for that of ``otlp.protocol`` and the environment."""
    headers_file: Path | None = None
    """File with headers, one KEY=VALUE per line; those of the environment are for the default endpoint only."""
    tls: TlsClient = field(default_factory=TlsClient)


@dataclass(frozen=True)
class Route:
    """Which alerts' records go where (``routes`` in the file). A condition that is empty always holds."""

    name: str
    """What the metric of dropped records calls it."""
    to: tuple[str, ...] = ()
    """Names of endpoints; ``default`` is that of ``otlp.endpoint``. Empty where ``drop``."""
    drop: bool = False
    """Whether no record is sent."""
    priority: str = ""
    """Minimum priority, one of Falco's words."""
    verdicts: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """Rules' names; ``*`` and ``?`` stand for any characters and any one."""
    sources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    """Kubernetes namespaces, with ``*`` and ``?``."""
    tags: tuple[str, ...] = ()
    """Tags of the rule, of which one is enough."""


@dataclass(frozen=True)
class Identity:
    """Who and where we are, on metrics and log records."""

    labels: tuple[str, ...] = setting(
        (), "constant labels of every metric and attributes of every record, NAME=VALUE, e.g. cluster=prod"
    )
    hosts: tuple[str, ...] = setting(
        (), "Falco's hostname to the node's name, PATTERN=NAME; {1} is what the first * matched, e.g. falco-*=node-{1}"
    )


@dataclass(frozen=True)
class Queue:
    """The durable queue between us and the collector."""

    directory: Path | None = setting(None, "keep the queue on disk here (default: memory only)")
    limit_bytes: int = setting(536_870_912, "maximum queue size in bytes")
    limit_age_seconds: float = setting(86_400.0, "maximum time that a record waits in the queue")
    when_full: str = setting("wait", "what happens when the queue is full", choices=("wait", "drop-oldest"))
    unready_after_seconds: float = setting(
        0.0, "/readyz also fails once delivery has been failing for this long (0: never, alerts can still be kept)"
    )


@dataclass(frozen=True)
class Grouping:
    """Joining a flood of the same alert into one log record."""

    window_seconds: float = setting(0.0, "join the same alerts within this window (0: off)")
    fields: tuple[str, ...] = setting(
        ("proc.name", "container.id", "fd.name"), "fields that must be equal besides rule and host"
    )


@dataclass(frozen=True)
class HistorySettings:
    """What is kept of the past, for the report pages, digests and tuning."""

    directory: Path | None = setting(
        None, "keep every alert in a file here, searchable on the report pages (default: the recent ones, in memory)"
    )
    limit_bytes: int = setting(1_073_741_824, "maximum size of the history in bytes; the oldest alerts go first")
    limit_age_seconds: float = setting(
        2_592_000.0, "how long an alert is kept at least, as far as the size limit allows"
    )


@dataclass(frozen=True)
class Incidents:
    """Alerts that belong together."""

    window_seconds: float = setting(
        14_400.0,
        "join alerts that share a container, session or principal within this window; weaker ties get less (0: off)",
    )
    limit: int = setting(500, "maximum number of incidents kept in memory")
    records: bool = setting(False, "also send a log record when an incident opens, gets a more severe verdict or ends")


@dataclass(frozen=True)
class Web:
    """The metrics and report pages."""

    listen_address: str = setting(":9376", "where /metrics is served")
    reports_address: str = setting("", "serve the report pages on a listener of their own (default: with the metrics)")
    config_file: Path | None = setting(
        None, "Prometheus web configuration file: TLS and basic auth", flag="--web.config.file"
    )
    probe_address: str = setting("", "also serve /liveness and /readiness here, as falco-exporter did on :19376")
    external_url: str = setting("", "the address at which people reach the report pages")
    grafana_url: str = setting("", "the address of Grafana, for links to the dashboards")
    recent_reports: int = setting(1_000, "number of recent reports kept in memory")
    connection_limit: int = setting(256, "maximum number of connections")
    request_timeout_seconds: float = setting(10.0, "maximum time to receive a complete request")


@dataclass(frozen=True)
class Redaction:
    """What is masked before any sink sees it."""

    fields: tuple[str, ...] = setting((), "output fields whose values are masked")
    patterns: tuple[str, ...] = setting(
        (),
        "regular expressions (one per line in the environment); what they match is masked in every value",
        separator="\n",
    )


@dataclass(frozen=True)
class ServeGrpc:
    """Falco's gRPC API offered to others."""

    address: str = setting(
        "", "offer Falco's gRPC API here: unix:///PATH or HOST:PORT (default: off)", flag="--serve-grpc"
    )
    tls: TlsServer = field(default_factory=TlsServer)
    subscriber_limit_alerts: int = setting(
        10_000, "maximum alerts that wait for one slow subscriber before it is cut off"
    )
    subscriber_limit_bytes: int = setting(
        16_777_216, "maximum bytes that wait for one slow subscriber before it is cut off"
    )


@dataclass(frozen=True)
class Catalog:
    """The advice."""

    directories: tuple[Path, ...] = setting((), "your own catalog files: add, replace or extend entries")


@dataclass(frozen=True)
class Logging:
    """The exporter's own log."""

    level: str = setting("info", "minimum log level", choices=("debug", "info", "warning", "error"))
    format: str = setting("text", "format of a log line", choices=("text", "json"))


@dataclass(frozen=True)
class Shutdown:
    """The end, on SIGTERM."""

    lame_duck_seconds: float = setting(
        5.0,
        "on SIGTERM, report not ready but keep accepting posts for this long, so that senders can move elsewhere "
        "(with http.address; a second signal ends it)",
    )


@dataclass(frozen=True)
class Config:
    """Everything that can be set."""

    targets: tuple[FalcoTarget, ...] = ()
    """The Falco gRPC servers; empty where alerts come another way."""
    endpoints: tuple[OtlpEndpoint, ...] = ()
    """Further OTLP endpoints."""
    routes: tuple[Route, ...] = ()
    """Which records go where; the first route that fits decides, and ``otlp.endpoint`` gets the rest."""
    grpc: FalcoGrpc = field(default_factory=FalcoGrpc)
    http: FalcoHttp = field(default_factory=FalcoHttp)
    json_lines: JsonLines = field(default_factory=JsonLines)
    metrics: Metrics = field(default_factory=Metrics)
    identity: Identity = field(default_factory=Identity)
    otlp: Otlp = field(default_factory=Otlp)
    queue: Queue = field(default_factory=Queue)
    grouping: Grouping = field(default_factory=Grouping)
    history: HistorySettings = field(default_factory=HistorySettings)
    incidents: Incidents = field(default_factory=Incidents)
    web: Web = field(default_factory=Web)
    redaction: Redaction = field(default_factory=Redaction)
    serve_grpc: ServeGrpc = field(default_factory=ServeGrpc)
    catalog: Catalog = field(default_factory=Catalog)
    log: Logging = field(default_factory=Logging)
    shutdown: Shutdown = field(default_factory=Shutdown)
    shutdown_seconds: float = setting(10.0, "maximum time to deliver queued records on SIGTERM")
