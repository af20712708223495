"""Facts about command lines: what they hide in base64, which addresses they name.

Owns that one layer of base64 is read. Refuses to parse the shell's language.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping

import re2

from exporter.prose import Lookup
from exporter.verdict.places import address_kind

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=.\-])[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/_=])")
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_FOUR_NUMBERS = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
# What stands between the slashes and the @ holds no slash, so that no text is looked at twice.
_URL_ADDRESS = re.compile(r"(?:https?|t?ftp)://(?:[^@/\s]*@)?((?:\d{1,3}\.){3}\d{1,3})(?:[:/\s\"'|)]|\Z)", re.ASCII)
# RE2, for what stands between the words may be long: its time is linear in the line.
_BARE_TARGET = re2.compile(
    r"\b(?:curl|wget|fetch|lwp-download|axel)\b[^|;&]*?\s\"?'?((?:\d{1,3}\.){3}\d{1,3})[:/]", _OPTIONS
)
_ANCESTORS = ("proc.pname", *(f"proc.aname[{n}]" for n in range(2, 8)))


def _command(lookup: Lookup) -> str:
    return lookup("proc.cmdline") or ""


def decoded(lookup: Lookup) -> str | None:
    """Return what the command line's base64 says, where that is text."""
    found = []
    for word in _BASE64.findall(_command(lookup)):
        try:
            text = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if text.isprintable() or all(character.isprintable() or character in "\n\r\t" for character in text):
            found.append(text)
    return "\n".join(found) or None


def text(lookup: Lookup) -> str | None:
    """Return the command line on one line, and what its base64 says after it."""
    line = lookup("proc.cmdline")
    if line is None:
        return None
    hidden = lookup("command.decoded")
    return " ".join(f"{line} {hidden or ''}".split())


def parent_text(lookup: Lookup) -> str | None:
    """Return the parent's command line on one line."""
    line = lookup("proc.pcmdline")
    return None if line is None else " ".join(line.split())


def public_address(lookup: Lookup) -> str | None:
    """Return the first public address that the command line names."""
    return _first_public(_IPV4.findall(lookup("command.text") or ""))


def url_address(lookup: Lookup) -> str | None:
    """Return the first public address that the command line takes something from: a host without a name."""
    text = lookup("command.text") or ""
    if _FOUR_NUMBERS.search(text) is None:  # as most; RE2 costs several times as much to be asked
        return None
    return _first_public(_URL_ADDRESS.findall(text)) or _first_public(
        _BARE_TARGET.findall(text.encode("utf-8", "replace").decode())
    )


def _first_public(addresses: list[str]) -> str | None:
    return next((address for address in addresses if address_kind(address) == "public"), None)


def ancestors(lookup: Lookup) -> str | None:
    """Return parent and ancestors, as far as the alert names them, as a list."""
    names = [name.replace(",", "") for field in _ANCESTORS if (name := lookup(field)) is not None]
    return f"({','.join(names)})" if names else None


def program(lookup: Lookup) -> str | None:
    """Return the last element of the executable's path; the process' name where that is absent."""
    path = lookup("proc.exepath")
    if path is None:
        return lookup("proc.name")
    return path.removesuffix(" (deleted)").rsplit("/", 1)[-1] or None


def same_as_parent(lookup: Lookup) -> str | None:
    """Whether the parent bears the name of the process or of its program, as a service's own children do."""
    parent, names = lookup("proc.pname"), {lookup("proc.name"), lookup("exe.name")} - {None}
    return None if parent is None or not names else ("yes" if parent in names else "no")


def session(lookup: Lookup) -> str | None:
    """Return who sits in front: ``login-terminal``, ``login``, ``terminal`` (no login: exec) or ``none``."""
    terminal = lookup("proc.tty")
    if terminal is None:
        return None
    login = lookup("user.loginuid") is not None
    if terminal not in {"0", "-1"}:
        return "login-terminal" if login else "terminal"
    return "login" if login else "none"


FACTS: Mapping[str, tuple[Callable[[Lookup], str | None], tuple[str, ...]]] = {
    "command.decoded": (decoded, ("proc.cmdline",)),
    "command.text": (text, ("proc.cmdline",)),
    "parent.text": (parent_text, ("proc.pcmdline",)),
    "command.address": (public_address, ("proc.cmdline",)),
    "command.url.address": (url_address, ("proc.cmdline",)),
    "parent.same": (same_as_parent, ("proc.name", "proc.pname", "proc.exepath")),
    "ancestors.names": (ancestors, _ANCESTORS),
    "exe.name": (program, ("proc.exepath", "proc.name")),
    "session.kind": (session, ("proc.tty", "user.loginuid")),
}
