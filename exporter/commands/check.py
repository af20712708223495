"""``check``: is the configuration right, and does every part work here?"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.app import App
from exporter.commands.findings import Finding, say
from exporter.commands.live_alerts import ask_running, missing_fields
from exporter.commands.terminal import Style
from exporter.config.model import Config
from exporter.directories import check_directory
from exporter.errors import ConfigError, ExporterError
from exporter.listener.address import Address, bind
from exporter.listener.validity import date_problem
from exporter.missing_fields import to_sentence
from exporter.sinks.otel.send.environment import to_endpoints, why_disabled
from exporter.sinks.otel.send.probe import check_endpoint
from exporter.sources.falco_grpc_errors import diagnose
from exporter.sources.followed_file import COMPRESSED, GZIP_START, why_missing
from exporter.web.access import may_show_reports
from exporter.web.web_config import read_web_config


def check(config: Config) -> int:
    """Print what works and what does not; 0 where everything does."""
    style = Style(sys.stdout)
    wrong = _wrong(config)
    if wrong is None:
        say(style, Finding("ok", "configuration and catalog", "valid"))
    good = True
    for part in _PARTS:
        try:
            for finding in part(config):
                good = good and finding.level != "error"
                say(style, finding)
        except ExporterError as exc:  # of the same mistake, as a rule
            wrong = wrong or exc
    if wrong is not None:
        raise wrong
    return 0 if good else 1


def _wrong(config: Config) -> ExporterError | None:
    """Return why nothing can start with these settings; the other parts are looked at all the same."""
    try:
        App(config)
    except ExporterError as exc:
        return exc
    return None


def _targets(config: Config) -> Iterator[Finding]:
    for target in config.targets:
        for finding in diagnose(target):
            yield Finding(finding.level, target.label, finding.text)


def _receiver(config: Config) -> Iterator[Finding]:
    if not config.http.address:
        return
    what = f"receiver {config.http.address}"
    address = Address.from_text(config.http.address, "http.address")
    yield from _listening(what, address)
    scheme = "https" if config.http.tls.cert_file else "http"
    host = address.host if address.host not in {"", "0.0.0.0", "::"} else "ADDRESS_OF_THIS_HOST"  # noqa: S104
    path = "THE_SECRET_PATH" if config.http.path_file else config.http.path.removeprefix("/")
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{address.port}/{path}"
    yield Finding(
        "note",
        what,
        f"in falco.yaml: json_output: true and http_output: {{enabled: true, url: {url}}}. Falco does not send an "
        "alert again that it posts while this program is not running; a followed file (json_lines.file) loses none",
    )
    yield from _certificate(f"{what}: http.tls.cert_file", config.http.tls.cert_file, config.http.tls.key_file)
    if not address.is_loopback and not config.http.tls.client_ca_file:
        yield Finding(
            "note",
            what,
            "other machines can post forged alerts here; use mutual TLS (http.tls.client_ca_file), a network policy, "
            f"or listen on 127.0.0.1:{address.port}",
        )


def _lines(config: Config) -> Iterator[Finding]:
    if config.json_lines.stdin:
        yield Finding("ok", "standard input", "read until its end; a followed file (json_lines.file) loses no alert")
    path = config.json_lines.file
    if path is None:
        return
    what = f"file {path}"
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            yield Finding("error", what, "it is a directory; name the file that Falco's file_output writes")
            return
        if not stat.S_ISFIFO(kind):
            with path.open("rb") as opened:
                start = opened.read(len(GZIP_START))
            if start == GZIP_START:
                yield Finding("error", what, COMPRESSED)
                return
    except FileNotFoundError:
        # As it should be before Falco's first alert; the file is read from its start once it is there.
        yield Finding("note" if path.parent.is_dir() else "error", what, why_missing(path))
        return
    except OSError as exc:
        yield Finding("error", what, f"{exc.strerror} for uid {os.getuid()}; let this user read it, or run as root")
        return
    yield Finding("ok", what, "readable")


def _records(config: Config) -> Iterator[Finding]:
    reason = why_disabled(config.otlp, os.environ)
    if reason:
        yield Finding("off", "OTLP", reason)
    endpoints = to_endpoints(config, os.environ)
    if not endpoints:
        return
    for name, endpoint in endpoints.items():
        answer = check_endpoint(endpoint)
        what = f"OTLP {endpoint.shown}" + (f" ({name})" if len(endpoints) > 1 else "")
        yield Finding("ok" if answer.works else "error", what, answer.message)
    yield _queue(config)


def _queue(config: Config) -> Finding:
    directory = config.queue.directory
    if directory is None:
        return Finding(
            "note",
            "queue",
            "in memory only: queued records are lost when the process ends; set queue.directory to keep them",
        )
    otherwise = "alerts would wait in memory only"
    found = check_directory(directory, section="queue", limit_bytes=config.queue.limit_bytes, otherwise=otherwise)
    return Finding("ok" if found.works else "error", f"queue {directory}", found.message)


def _history(config: Config) -> Iterator[Finding]:
    settings, otherwise = config.history, "alerts would be kept in memory only, the recent ones"
    if settings.directory is None:
        return
    found = check_directory(
        settings.directory, section="history", limit_bytes=settings.limit_bytes, otherwise=otherwise
    )
    yield Finding("ok" if found.works else "error", f"history {settings.directory}", found.message)


def _metrics_and_pages(config: Config) -> Iterator[Finding]:
    address = Address.from_text(config.web.listen_address, "web.listen_address")
    yield from _listening(f"metrics {config.web.listen_address}", address)
    if config.web.reports_address:
        reports = Address.from_text(config.web.reports_address, "web.reports_address")
        yield from _listening(f"report pages {config.web.reports_address}", reports)
    if config.web.probe_address:
        probes = Address.from_text(config.web.probe_address, "web.probe_address")
        yield from _listening(f"probes {config.web.probe_address}", probes)
    yield from _web_certificate(config)
    if may_show_reports(config.web):
        yield Finding("ok", "report pages", "on, at /reports")
    else:
        yield Finding(
            "off",
            "report pages",
            "this address can be reached from other machines and asks for no password; set web.reports_address to "
            "127.0.0.1:9377, or web.config_file with a password or client certificates",
        )


def _grpc_server(config: Config) -> Iterator[Finding]:
    text, tls = config.serve_grpc.address, config.serve_grpc.tls
    if text:
        what = f"gRPC server {text}"
        yield from _listening(what, Address.from_text(text, "serve_grpc.address"))
        yield from _certificate(f"{what}: serve_grpc.tls.cert_file", tls.cert_file, tls.key_file)


def _listening(what: str, address: Address) -> Iterator[Finding]:
    try:
        for opened in bind(address):
            opened.close()
    except ConfigError as exc:
        if ask_running(address, "/healthz") is not None:
            yield Finding("note", what, "an exporter is running there already")
        else:
            yield Finding("error", what, str(exc))
    else:
        if address.path:
            Path(address.path).unlink(missing_ok=True)
        yield Finding("ok", what, "free to listen on")


def _web_certificate(config: Config) -> Iterator[Finding]:
    # A file that cannot be read is said once, by what makes the application.
    with contextlib.suppress(ConfigError):
        tls = read_web_config(config.web.config_file).tls if config.web.config_file else None
        if tls is not None:
            yield from _certificate("metrics and report pages: tls_server_config", tls.cert_file, tls.key_file)


def _certificate(what: str, cert_file: Path | None, key_file: Path | None) -> Iterator[Finding]:
    if cert_file is None or key_file is None:
        return
    with contextlib.suppress(OSError):
        if problem := date_problem(cert_file, key_file):
            yield Finding("error", what, f"{cert_file} {problem}; every client refuses it: renew it")


def _catalog(config: Config) -> Iterator[Finding]:
    for directory in config.catalog.directories:
        if directory.is_dir() and not [*directory.glob("*.yaml"), *directory.glob("*.yml")]:
            yield Finding("note", f"catalog {directory}", "no .yaml file is in it: no advice of your own is used")


def _alerts(config: Config) -> Iterator[Finding]:
    """What Falco leaves out of the alerts that it sends already."""
    for where, missing in missing_fields(config):
        yield Finding("note", where, to_sentence(missing))


_PARTS: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    *(_targets, _receiver, _lines, _records, _history, _metrics_and_pages, _grpc_server, _catalog, _alerts),
)
