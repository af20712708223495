"""Basic authentication against bcrypt hashes.

Owns the check and its cost: an answer is remembered, a user who does not
exist costs as much as one who does, and one check runs at a time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping

import bcrypt

REMEMBERED_ANSWERS = 100
PASSWORD_LIMIT_BYTES = 72
"""What bcrypt looks at; the rest of a longer password never counted anywhere."""

_NOBODY = b"$2b$10$AZt8/s5h/j2r5OTjXqgEwuK3b8zrCthGOqn4OkMR3TSLp7JdpY3dS"
"""A hash that no password is known for, so that an unknown user costs as much as a known one."""


def credentials(header: str) -> tuple[str, bytes] | None:
    """Return user and password from an ``Authorization`` header (RFC 7617); None when it holds none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user.decode("utf-8", "replace"), password) if colon else None


class PasswordCheck:
    """Checks passwords, remembering the last answers under a key of this process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._answers: dict[bytes, bool] = {}
        self._lock = asyncio.Lock()

    async def admits(self, header: str, users: Mapping[str, bytes]) -> bool:
        """Tell whether the header names a user with that user's password."""
        given = credentials(header)
        if given is None:
            return False
        user, password = given
        known = user in users
        hashed = users.get(user, _NOBODY)
        answer = await self._matches(user, password, hashed)
        return answer and known

    async def _matches(self, user: str, password: bytes, hashed: bytes) -> bool:
        digest = hashlib.blake2b(digest_size=32, key=self._key)
        for part in (user.encode("utf-8", "replace"), password, hashed):
            digest.update(len(part).to_bytes(8, "big") + part)
        question = digest.digest()
        if (answer := self._answers.get(question)) is not None:
            return answer
        async with self._lock:  # one at a time: guessing must not take the machine
            answer = await asyncio.get_running_loop().run_in_executor(None, _check, password, hashed)
        if len(self._answers) >= REMEMBERED_ANSWERS:
            del self._answers[secrets.choice(list(self._answers))]
        self._answers[question] = answer
        return answer


def _check(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:PASSWORD_LIMIT_BYTES], hashed)
    except ValueError:
        return False
