"""The outcome: whether what an alert reports came about.

Owns which fields tell it: results of system calls, status codes and errors.
Refuses to guess: a rule whose condition asks for success has succeeded, and
what no field tells is unknown.
"""

from __future__ import annotations

import re

from exporter.prose import Lookup
from exporter.verdict.judgement import Outcome

OUTCOME_FIELDS = (
    "evt.res", "evt.rawres", "evt.failed", "evt.type", "evt.args", "ka.response.code",
    "ka.auth.decision", "ka.response.reason",
    "ct.error", "evt.plugininfo", "gcp.status", "okta.reason", "fd.name", "jevt.value[/responseStatus/code]",
)  # fmt: skip
_RESULT = re.compile(r"\bres=(-?\d+)")
_SUCCEEDED = frozenset({"SUCCESS", "EINPROGRESS"})
_STARTED = frozenset({"execve", "execveat", "clone", "vfork", "fork"})
_DONE = frozenset(
    {
        "open", "openat", "openat2", "creat", "unlink", "unlinkat", "symlink", "symlinkat", "link", "linkat", "chmod",
        "fchmod", "fchmodat", "setns", "setuid", "dup", "dup2", "dup3", "socket", "ptrace", "bpf", "init_module",
        "finit_module", "unshare", "userfaultfd", "mount", "container", "procexit",
    }
)  # fmt: skip
"""Calls whose rules ask for a result of success, or are told by a file descriptor that exists."""
_OPENED = frozenset({"open", "openat", "openat2", "creat"})
_MAY_BE_REFUSED = frozenset({"gcp_auditlog", "okta"})
"""Sources whose rules match refused calls too. CloudTrail's ask for no error; GitHub tells of what was done."""
_MAY_HAVE_FAILED = frozenset({"Directory traversal monitored file read"})
"""Rules that ask for what could not be opened as well."""
APPARENT_FIELDS = ("evt.type", "evt.res", "ka.response.code", "jevt.value[/responseStatus/code]")
"""The output fields that ``only_apparent`` looks at: none that differs from alert to alert."""
_REFUSED_CODES = frozenset({"401", "403", "409", "422", "429"})
_REFUSING_RULES = frozenset(
    {
        "Too many failed MFA in last 5min", "Too many denied MFA Pushes in last 5min",
        "User hitting the rate limit on requests in OKTA",
        "Untrusted Node Unsuccessfully Tried to Join the Cluster",
    }
)  # fmt: skip


def outcome_of(lookup: Lookup) -> Outcome:
    """Return whether what the alert reports succeeded or was refused; ``unknown`` where its fields do not tell."""
    source = lookup("alert.source")
    if lookup("alert.rule") in _REFUSING_RULES:
        return "refused"
    if source == "k8s_audit":
        return _of_kubernetes(lookup)
    if source == "aws_cloudtrail":
        error, info = lookup("ct.error"), lookup("evt.plugininfo") or ""
        return "refused" if error is not None or " !" in info else "succeeded"
    if source in {"gcp_auditlog", "okta", "github"}:
        return "refused" if lookup("gcp.status") not in {None, "0"} else "succeeded"
    return _of_system_call(lookup)


def only_apparent(lookup: Lookup) -> bool:
    """Return whether nothing but the lack of an error tells that it succeeded: no result, status or file descriptor."""
    source = lookup("alert.source")
    if source == "k8s_audit":
        return lookup("ka.response.code") is None and lookup("jevt.value[/responseStatus/code]") is None
    if source != "syscall":
        return source in _MAY_BE_REFUSED
    kind = lookup("evt.type")
    if kind in _OPENED:
        return lookup("alert.rule") in _MAY_HAVE_FAILED
    return kind not in _STARTED and lookup("evt.res") is None


def _of_kubernetes(lookup: Lookup) -> Outcome:
    code = lookup("ka.response.code") or lookup("jevt.value[/responseStatus/code]")
    if lookup("ka.auth.decision") in {"forbid", "deny"} or code in _REFUSED_CODES:
        return "refused"
    if code is None:
        return "succeeded"
    return "succeeded" if code.startswith(("1", "2", "3")) else "unknown"


def _of_system_call(lookup: Lookup) -> Outcome:
    result = lookup("evt.res")
    if result is None:
        found = _RESULT.search(lookup("evt.args") or "")
        result = None if found is None else ("SUCCESS" if int(found[1]) >= 0 else f"E{found[1]}")
    if result is None and (raw := lookup("evt.rawres")) is not None:
        result = "SUCCESS" if not raw.startswith("-") else "E"
    if lookup("evt.failed") == "true":
        return "refused"
    if result is not None:
        return "succeeded" if result in _SUCCEEDED or result.isdigit() else "refused"
    kind = lookup("evt.type")
    return "succeeded" if kind in _STARTED or kind in _DONE else "unknown"
