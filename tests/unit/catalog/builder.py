"""A small catalog of one sound entry, with parts of it changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from exporter.catalog.catalog import Catalog
from exporter.catalog.index import official_rules
from exporter.catalog.loader import Documents, load_files

TUNE = {
    "do": "Allow the test tool.",
    "tool": "falco",
    "file": "/etc/falco/rules.d/clear-log-activities.yaml",
    "format": "falco",
    "content": """\
- macro: allowed_clear_log_files
  condition: >-
    (proc.name = %{proc.name} and fd.name = %{fd.name})
  override:
    condition: replace
""",
    "check": "falco -V /etc/falco/rules.d/clear-log-activities.yaml",
}
CHANGE = {
    "do": "Record truncation.",
    "tool": "auditd",
    "file": "/etc/audit/rules.d/90-log.rules",
    "format": "audit",
    "content": "-a always,exit -F arch=b64 -F dir=/var/log -F perm=w -k log-tamper",
    "check": "augenrules --check",
}
LOOK = {
    "look": "Look at the file.",
    "where": "host",
    "run": "stat -- %{fd.name}",
    "shows": "Size 0 confirms it.",
    "empty": "The file is gone.",
}
CONTAIN = {
    "contain": "Freeze the container.",
    "where": "node",
    "run": "docker pause %{container.id}",
    "breaks": "The service stops.",
    "undo": "docker unpause %{container.id}",
}
ENTRY: dict[str, Any] = {
    "rule": "Clear Log Activities",
    "attack": [{"technique": "T1685.006", "tactic": "TA0112"}],
    "what": "log emptied in %{alert.place}",
    "ask": "ask who did it",
    "summary": "%{proc.name} emptied %{fd.name}[[ in container %{container.name}]].",
    "benign": ["Falco's test tool did it."],
    "unknown": ["what the file held"],
    "close_if": "the job's owner confirms the hour over another channel.",
    "escalate_if": "nobody claims it.",
    "impact": "Emptied logs hide what came before.",
    "steps": [LOOK, CONTAIN],
    "configure": [CHANGE],
    "recommend": ["Log to standard output, so that there is no file to empty."],
    "tune": [TUNE],
    "references": [
        {"title": "ATT&CK T1685.006", "url": "https://attack.mitre.org/techniques/T1685/006/"},
        {"title": "audit.rules(7)", "url": "https://man7.org/linux/man-pages/man7/audit.rules.7.html"},
    ],
}


def catalog_of(directory: Path, *entries: dict[str, Any], procedures: tuple[dict[str, Any], ...] = ()) -> Catalog:
    """Write entries (each the sound one with these keys changed) to a file and load them."""
    written = []
    for changes in entries:
        entry = copy.deepcopy(ENTRY) | {"source": "syscall"} | changes
        written.append({key: value for key, value in entry.items() if value is not None})
    path = directory / "entries.yaml"
    path.write_text(yaml.safe_dump({"entries": written, "procedures": list(procedures)}, width=1000), encoding="utf-8")
    documents = Documents()
    load_files([path], documents)
    return Catalog(documents.entries.values(), documents.procedures.values(), official_rules())
