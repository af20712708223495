"""``check``: is the configuration right, and does every connection work?"""

from __future__ import annotations

import os
import sys

from exporter.app import App
from exporter.commands.terminal import Style
from exporter.config.model import Config
from exporter.escaping import terminal
from exporter.sinks.otel.send.environment import to_endpoint, why_disabled
from exporter.sinks.otel.send.probe import check_endpoint
from exporter.sources.falco_grpc_errors import diagnose


def check(config: Config) -> int:
    """Print what works and what does not; 0 where everything does."""
    style = Style(sys.stdout)
    App(config)
    _say(style, "ok", "configuration and catalog", "valid")
    good = True
    for target in config.targets:
        for finding in diagnose(target):
            good = good and finding.level != "error"
            _say(style, finding.level, target.label, finding.text)
    if reason := why_disabled(config.otlp, os.environ):
        _say(style, "off", "OTLP", reason)
    else:
        endpoint = to_endpoint(config.otlp, os.environ)
        answer = check_endpoint(endpoint)
        good = good and answer.works
        _say(style, "ok" if answer.works else "error", f"OTLP {endpoint.shown}", answer.message)
    return 0 if good else 1


def _say(style: Style, mark: str, what: str, message: str) -> None:
    shown = {
        "ok": style.green("ok  "),
        "note": style.dim("note"),
        "off": style.dim("off "),
        "error": style.red("FAIL"),
    }[mark]
    print(f"{shown} {terminal(what)}: {terminal(message)}")
