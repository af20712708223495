"""The ``Authorization`` header: reading it, and comparing it with a secret from a file.

Owns RFC 7617 and RFC 6750. Secrets come from files and appear in no message.
Passwords kept as bcrypt hashes are ``passwords.py``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from pathlib import Path

from exporter.errors import ConfigError


def read_basic(header: str) -> tuple[str, bytes] | None:
    """Return user and password from an ``Authorization`` header (RFC 7617); None when it holds none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user.decode("utf-8", "replace"), password) if colon else None


def to_basic(user: str, password: bytes) -> bytes:
    """Return the header that ``authorizes`` expects of a user with this password."""
    return b"Basic " + base64.b64encode(user.encode() + b":" + password)


def to_bearer(token: bytes) -> bytes:
    """Return the header that ``authorizes`` expects of a client that has the token (RFC 6750)."""
    return b"Bearer " + token


def authorizes(expected: bytes | None, given: str) -> bool:
    """Tell whether the header given is the one expected, in a time that says nothing about where they differ.

    True for ``expected`` None, which asks for nothing.
    """
    if expected is None:
        return True
    scheme, _, credentials = given.partition(" ")
    normalised = f"{scheme.capitalize()} {credentials.strip()}".encode("utf-8", "surrogateescape")
    return hmac.compare_digest(normalised, expected)


def read_secret(file: Path, setting: str) -> bytes:
    """Return a file's content without the white space around it. Raises ConfigError where there is none."""
    try:
        secret = file.read_bytes().strip()
    except OSError as exc:
        raise ConfigError(f"{setting}: {file}: {exc.strerror}; expected a readable file with the secret") from exc
    if not secret:
        raise ConfigError(f"{setting}: {file}: the file is empty; expected the secret")
    return secret
