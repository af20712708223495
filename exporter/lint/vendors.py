"""Kinds of faults of steps on clusters and clouds: another account, deletions that wait, late logs, weaker settings.

Owns what the form of a command shows of what its vendor does with it. Refuses
the reader's shell (``kinds.py``) and options that a client does not have
(``tools.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.steps import CommandStep
from exporter.lint.finding import Finding
from exporter.lint.walk import commands

_ANYWHERE: tuple[tuple[str, str], ...] = (
    (
        r"\becho \"\$\w+\" \| (?:aws|curl|gcloud|gh|jq|kubectl)\b",
        "{}: zsh's echo rewrites backslashes, and JSON has some; write printf '%s\\n'",
    ),
    (
        r"\[ -s (\S+) \] \|\| (?:aws cloudtrail lookup-events|gcloud logging read)\b[^|]*>\s?\"?\1",
        "{}: a log that came late is kept as an empty answer for good; read it anew, or keep what `//empty` lets by",
    ),
    (
        r"\[ -s (\S+) \] \|\| kubectl get [a-z,]+(?: -\S+)* > \1(?! \|\|)",
        "{}: of a refused list an empty one is kept for good; end it with || {{ rm …; exit 1; }}",
    ),
    (
        r"\[ \"\$\(kubectl\b[^\n]*? get\b[^\n]*?\)\" =|\bkubectl\b[^\n|;&]* get\b[^\n|;&]*\| cmp\b",
        "{}: what may not be looked at reads as gone or changed; write l=$(…) || exit 1 and compare that",
    ),
)
"""What no block on a cluster or cloud may do, with {} for what was found."""
_CHANGING: tuple[tuple[str, str], ...] = (
    (
        r"\bkubectl\b[^\n|;&]* get\b[^\n|;&]*\| jq\b(?=(?:'[^']*'|[^'|;&])*>)",
        "{}: what may not be listed reads as none; write it to a file || exit 1, and let jq read that",
    ),
    (
        r"\bkubectl\b[^|;&\n]* delete\b(?![^|;&\n]*(?:--timeout|--wait=false|--raw))[^|;&\n]*",
        "{} waits for ever where the object has a finalizer, which its author chose; add --timeout",
    ),
    (
        r"--(?:message-retention|soft-delete)-duration[= ]\d\w*",
        "{} may be less than what is set; take the longer of both",
    ),
)
"""What no block that changes something may do."""
_NAMED = re.compile(
    r"\baws (?:iam (?:put|update|delete|attach)-\S+|lambda put-\S+|cloudtrail st(?:op|art)-logging)"
    r"[^|;&\n]* --(?:user-name|role-name|group-name|function-name|name)="
)
_IN_THE_EVENTS_ACCOUNT = re.compile(r"UserId|RoleId|GroupId|query=Account\b|trailARN|lookup-events")
"""What tells one account's object from another's of the same name."""
_CHANGED_AT_GITHUB = re.compile(r"\bgh api[^|;&\n]* --method (?:DELETE|PATCH|POST|PUT)\b(?! credentials/revoke)")
"""What changes something at GitHub; a token that was pushed is revoked wherever that was."""
_OLDER = re.compile(r"\.created_at\b(?:\[:19\] ?<= ?(?:\$t|%\{alert\.time_)| \| fromdate)")
_WHICH = re.compile(r"\.id\b")


def check_vendors(catalog: Catalog) -> Iterator[Finding]:
    """Yield blocks with a fault that a vendor's own ways make of them."""
    for owned, step in commands(catalog):
        if step.where in {"cluster", "cloud"}:
            for message in faults(step):
                yield Finding(step.place, owned.owner, message)


def faults(step: CommandStep) -> Iterator[str]:
    """Yield what is wrong with one step's blocks, by kind."""
    changes = step.phase in {"contain", "recover"}
    for text, kinds in (
        (step.run.text, (*_ANYWHERE, *(_CHANGING if changes else ()))),
        (step.undo.text, _ANYWHERE),
    ):
        for pattern, message in kinds:
            if match := re.search(pattern, text.replace("\\\n", " ")):
                yield message.format(" ".join(match[0].split()))
    if changes and (match := _NAMED.search(step.run.text)) and not _IN_THE_EVENTS_ACCOUNT.search(step.run.text):
        yield (
            f"{match[0]}: another account may have one of this name; compare its id, its ARN or the account with the "
            "event's first"
        )
    if changes and _changes_repository(step.run.text):
        yield from _made_since(step)


def _changes_repository(text: str) -> bool:
    return "repos/" in text and _CHANGED_AT_GITHUB.search(text) is not None


def _made_since(step: CommandStep) -> Iterator[str]:
    """Yield what a step on GitHub would do to a repository that somebody has made under the name since."""
    if not _OLDER.search(step.run.text):
        yield "gh api changes a repository by its name; compare its .created_at[:19] with %{alert.time_rfc3339}[:19]"
    if _changes_repository(step.undo.text) and not _WHICH.search(step.undo.text):
        yield "the undo changes a repository by its name; compare its .id with the one that was kept"
