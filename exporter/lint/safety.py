"""Safe to paste: what only looks changes nothing, and nothing is switched off or fetched and run.

Owns telling reading from changing commands, for the programs that do both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.lint.finding import Finding
from exporter.lint.samples import VALUES
from exporter.lint.shell import rendered
from exporter.lint.walk import changes, commands
from exporter.lint.words import simple_commands

_NEVER = (
    (r"\b(?:curl|wget)\b[^|;\n]*\|\s*(?:sudo\s+)?(?:ba|da|z)?sh\b", "fetches a script and runs it"),
    (r"\bchmod\s+(?:-R\s+)?(?:0?777|a\+rwx)\b", "makes files writable for everyone"),
    (r"\bsetenforce\s+(?:0|[Pp]ermissive)\b", "switches SELinux off"),
    (r"\bsystemctl\s+(?:stop|disable|mask)\s+(?:--now\s+)?(?:auditd|falco|apparmor|firewalld|nftables|rsyslog)\b",
     "switches a control off"),
    (r"\bnft\s+flush\s+ruleset\b|\bip6?tables\s+-F\b", "drops all firewall rules"),
    (r"\bauditctl\s+-(?:D|e\s*0)\b", "switches auditing off"),
    (r"\bcurl\b[^|;\n]*\s(?:-k|--insecure)\b|--no-verify-ssl|--no-check-certificate|--insecure-skip-tls-verify",
     "does not check the server's certificate"),
)  # fmt: skip
_CONTAINERS = "build commit create kill load pause push rename restart rm rmi run start stop tag unpause update"
_CHANGING: dict[str, str] = {
    "files": "chattr chgrp chmod chown dd ln mkfs mknod mv rm rmdir setcap setfacl shred truncate umount unlink",
    "processes and modules": "insmod kill killall modprobe pkill reboot renice rmmod",
    "accounts": "chpasswd groupadd groupdel groupmod useradd userdel usermod visudo",
}
_CHANGING_PROGRAMS = frozenset(" ".join(_CHANGING.values()).split())
_CHANGING_SUBCOMMANDS = {
    "kubectl": "annotate apply attach autoscale certificate cordon cp create debug delete drain edit expose label "
    "patch replace run scale set taint uncordon",
    "crictl": "create rm rmi rmp run runp start stop stopp update",
    "docker": _CONTAINERS,
    "nerdctl": _CONTAINERS,
    "podman": _CONTAINERS,
    "systemctl": "cancel daemon-reexec daemon-reload disable edit enable isolate kill mask reboot reload restart "
    "revert set-property start stop unmask",
    "loginctl": "kill-session kill-user lock-session terminate-session terminate-user",
    "nft": "add create delete destroy flush insert replace reset",
}
_READING_AWS = re.compile(
    r"(?:batch-get|check|decode|describe|detect|download|filter|generate|get|head|list|lookup|preview|query|scan|search|"
    r"select|simulate|start-query|tail|test|validate|verify|view|wait|ls)\b"
)
_CHANGING_GCLOUD = re.compile(
    r"(?:add|clear|create|delete|deploy|destroy|disable|enable|import|move|patch|promote|remove|reset|resize|restart|restore|"
    r"resume|revoke|rollback|set|start|stop|suspend|undelete|update|upload)(?:-|\Z)"
)
_NAMESPACED = re.compile(
    r"(?:po|pods?|deploy|deployments?|deployment\.apps|ds|daemonsets?|sts|statefulsets?|rs|replicasets?|jobs?|cj|cronjobs?|"
    r"svc|services?|ep|endpoints|endpointslices?|cm|configmaps?|secrets?|sa|serviceaccounts?|roles?|rolebindings?|"
    r"netpol|networkpolic(?:y|ies)|ing|ingress(?:es)?|pvc|persistentvolumeclaims?|events?|leases?|quota|resourcequotas?)"
    r"(?:/.*)?\Z"
)
_KIND = re.compile(r'kind: ?"(\w+)"')
_NAMED = re.compile(r"-n.*|--namespace.*|-A|--all-namespaces|-f.*|--filename.*|-k.*|--raw.*")


def check_safety(catalog: Catalog) -> Iterator[Finding]:
    """Yield commands that are never safe, looks that change state, and kubectl without a namespace."""
    for owned, step in commands(catalog):
        texts = [rendered(template, VALUES["plain"](step.condition.only)) for template in (step.run, step.undo)]
        for text in texts:
            for message in (*never(text), *without_namespace(text)):
                yield Finding(step.place, owned.owner, message)
        if step.phase in {"look", "verify"}:
            for message in changing(texts[0]):
                yield Finding(step.place, owned.owner, f"{message}; put it under keep or contain")
    for owned, change in changes(catalog):
        for text in (change.check, change.load):
            for message in never(text):
                yield Finding(change.place, owned.owner, message)


def never(text: str) -> Iterator[str]:
    """Yield what no advice may do."""
    for pattern, message in _NEVER:
        if match := re.search(pattern, text):
            yield f"{match[0]!r} {message}"


def changing(text: str) -> Iterator[str]:
    """Yield commands that change state."""
    # A SubjectAccessReview is a question: it is posted, answered and never stored.
    asks = set(_KIND.findall(text)) == {"SubjectAccessReview"}
    for words in simple_commands(text):
        if asks and words[:2] == ["kubectl", "create"]:
            continue
        if _changes(words[0].rsplit("/", 1)[-1], words):
            yield f"{' '.join(words[:4])!r} changes state"


def _changes(program: str, words: list[str]) -> bool:
    named = [word for word in words[1:] if not word.startswith("-")]
    if program == "aws":
        return len(named) > 1 and not _READING_AWS.match(named[1])
    if program == "gcloud":
        return any(_CHANGING_GCLOUD.match(word) for word in named[:6] if re.fullmatch(r"[a-z-]+", word))
    if program in {"gh", "curl"}:
        # IMDSv2 hands out the token that every read needs in answer to a PUT; it changes nothing.
        reads = any(word.endswith("/latest/api/token") for word in words)
        return not reads and bool(
            re.search(r"(?:-X|--method|--request)[ =]?(?:POST|PUT|PATCH|DELETE)", " ".join(words))
        )
    if program == "kubectl" and named[:1] == ["auth"]:
        return False
    subcommands = set(_CHANGING_SUBCOMMANDS.get(program, "").split())
    return program in _CHANGING_PROGRAMS or bool(subcommands & set(named[:3]))


def without_namespace(text: str) -> Iterator[str]:
    """Yield kubectl commands on namespaced objects that leave the namespace to the reader's context."""
    for words in simple_commands(text):
        if words[0] != "kubectl" or any(_NAMED.fullmatch(word) for word in words[1:]):
            continue
        if {"auth", "api-resources", "config", "explain"} & set(words[1:3]):
            continue
        kinds = [kind for word in words[2:4] for kind in word.split(",")]
        if any(_NAMESPACED.match(kind) for kind in kinds) or {"logs", "exec", "cp", "port-forward"} & set(words[1:2]):
            yield f"{' '.join(words[:4])!r} names no namespace; add -n or --all-namespaces"
