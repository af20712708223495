"""The place of an alert's uid in advice that many alerts share.

Owns the stand-in for the uid and how it is put back. Steps name a directory
by the uid, and every alert has its own: were it rendered as it comes, no
advice could be given twice.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from exporter.catalog.advice import Advice, Change, Command
from exporter.prose import Prose, Span

UID_SENTINEL = secrets.token_hex(16)
"""What ``%{alert.uid}`` renders as: as long as a uid, and of this process only, so that no alert can hold it."""
_SENTINEL_BYTES = UID_SENTINEL.encode()


def with_uid(advice: Advice, uid: str) -> Advice:
    """Return the advice with the alert's uid (32 hexadecimal digits) in place; itself where it names none."""
    if not advice.names_uid:
        return advice
    commands = [command_with_uid(each, uid) for each in advice.commands]
    changes = [_in_change(each, uid) if _names_uid(each) else each for each in advice.changes]
    return replace(
        advice,
        summary=_in_prose(advice.summary, uid),
        impact=_in_prose(advice.impact, uid),
        close_if=_in_prose(advice.close_if, uid),
        escalate_if=_in_prose(advice.escalate_if, uid),
        commands=tuple(commands),
        changes=tuple(changes),
        recommendations=tuple([_in_prose(each, uid) for each in advice.recommendations]),
        names_uid=False,
    )


def _names_uid(step: Command | Change) -> bool:
    for part in step:
        if isinstance(part, str):
            if UID_SENTINEL in part:
                return True
        elif any(span.text == UID_SENTINEL for span in part):
            return True
    return False


def names_uid(encoded: bytes) -> bool:
    """Whether the stand-in is in what was made of advice."""
    return _SENTINEL_BYTES in encoded


def with_uid_bytes(encoded: bytes, uid: str) -> bytes:
    """Return what was made of advice with the alert's uid in place; no length changes."""
    return encoded.replace(_SENTINEL_BYTES, uid.encode())


def command_with_uid(command: Command, uid: str) -> Command:
    """Return a step with the uid in place; itself where it names none."""
    if not _names_uid(command):
        return command
    return command._replace(
        run=command.run.replace(UID_SENTINEL, uid),
        undo=command.undo.replace(UID_SENTINEL, uid),
        title=_in_prose(command.title, uid),
        shows=_in_prose(command.shows, uid),
        empty=_in_prose(command.empty, uid),
        breaks=_in_prose(command.breaks, uid),
    )


def _in_change(change: Change, uid: str) -> Change:
    return change._replace(content=change.content.replace(UID_SENTINEL, uid), note=_in_prose(change.note, uid))


def _in_prose(prose: Prose, uid: str) -> Prose:
    if not any(UID_SENTINEL in span.text for span in prose):
        return prose
    return tuple([Span(span.kind, span.text.replace(UID_SENTINEL, uid)) for span in prose])
