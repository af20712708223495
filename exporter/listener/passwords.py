"""Passwords kept as bcrypt hashes, which are slow to check on purpose.

Owns the check and its cost: one runs at a time, a bounded number wait, an
answer is remembered, and a user who does not exist costs as much as one who
does. Those who guess can take neither the machine nor, from their address,
the place of those who know.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping

import bcrypt

from exporter.listener.credentials import read_basic

REMEMBERED_ANSWERS = 100
"""Of each kind, good and bad."""
WAITING_LIMIT = 16
"""Checks that wait or run; at bcrypt's usual cost of 10 that is about a second's work."""
WAITING_LIMIT_PER_PEER = 4
PASSWORD_LIMIT_BYTES = 72
"""What bcrypt looks at; the rest of a longer password never counted anywhere."""

_NOBODY = b"$2b$%02d$AZt8/s5h/j2r5OTjXqgEwuK3b8zrCthGOqn4OkMR3TSLp7JdpY3dS"
"""A hash that no password is known for, of any cost, so that an unknown user costs as much as a known one."""


class TooManyChecksError(Exception):
    """So many passwords wait for their check that this one was not taken; ask again later."""


class PasswordCheck:
    """Checks passwords, remembering the last answers under a key of this process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._good: dict[bytes, None] = {}
        self._bad: dict[bytes, None] = {}
        self._waiting: Counter[str] = Counter()
        """By peer."""
        self._lock = asyncio.Lock()

    async def admits(self, header: str, users: Mapping[str, bytes], peer: str = "") -> str | None:
        """Return the user whose password the header has; None where it has none.

        ``peer`` is the address that asks. Raises TooManyChecksError where too many wait already, of all or of it.
        """
        given = read_basic(header)
        if given is None:
            return None
        user, password = given
        hashed = users.get(user) or _NOBODY % max(map(_cost, users.values()))
        is_right = await self._matches(user, password, hashed, peer)
        return user if is_right and user in users else None

    async def _matches(self, user: str, password: bytes, hashed: bytes, peer: str) -> bool:
        question = self._question(user, password, hashed)
        if (answer := self._remembered(question)) is not None:
            return answer
        if self._waiting.total() >= WAITING_LIMIT or self._waiting[peer] >= WAITING_LIMIT_PER_PEER:
            raise TooManyChecksError
        self._waiting[peer] += 1
        try:
            async with self._lock:
                if (answer := self._remembered(question)) is None:
                    answer = await asyncio.get_running_loop().run_in_executor(None, _check, password, hashed)
        finally:
            self._waiting[peer] -= 1
            self._waiting += Counter()  # forget the peers of whom nobody waits
        self._remember(question, answer)
        return answer

    def _question(self, user: str, password: bytes, hashed: bytes) -> bytes:
        digest = hashlib.blake2b(digest_size=32, key=self._key)
        for part in (user.encode("utf-8", "replace"), password, hashed):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def _remembered(self, question: bytes) -> bool | None:
        return True if question in self._good else False if question in self._bad else None

    def _remember(self, question: bytes, answer: bool) -> None:
        """Keep the answer; bad ones, which strangers cause, never take the place of good ones."""
        answers = self._good if answer else self._bad
        if len(answers) >= REMEMBERED_ANSWERS:
            del answers[secrets.choice(list(answers))]
        answers[question] = None


def _cost(hashed: bytes) -> int:
    return int(hashed.split(b"$")[2])


def _check(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:PASSWORD_LIMIT_BYTES], hashed)
    except ValueError:
        return False
