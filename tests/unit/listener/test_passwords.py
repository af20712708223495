"""Basic authentication."""

from __future__ import annotations

import asyncio
import base64
import threading

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.listener import passwords
from exporter.listener.credentials import read_basic
from exporter.listener.passwords import REMEMBERED_ANSWERS, WAITING_LIMIT_PER_PEER, PasswordCheck, TooManyChecksError

USERS = {
    "alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)),
    "bob": bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).replace(b"$2b$", b"$2y$"),
}


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def admits(*headers: str) -> list[str | None]:
    async def ask() -> list[str | None]:
        check = PasswordCheck()
        return [await check.admits(each, USERS) for each in headers]

    return asyncio.run(ask())


def test_only_the_right_password_of_a_known_user_gets_in() -> None:
    """Wrong, empty and foreign passwords, unknown users and no header do not."""
    given_headers = [
        header("alice", "secret"),
        header("alice", "Secret"),
        header("alice", ""),
        header("mallory", "secret"),
        header("bob", "secret"),
        "",
        "Bearer secret",
        "Basic !!!",
        "Basic " + base64.b64encode(b"alice").decode(),
    ]
    assert admits(*given_headers) == ["alice"] + [None] * 8


def test_htpasswds_hashes_and_long_passwords_work() -> None:
    """htpasswd writes $2y$; bcrypt looks at 72 bytes and a longer password is no error."""
    assert admits(header("bob", "p" * 72), header("bob", "p" * 100), header("bob", "p" * 71)) == ["bob", "bob", None]


def test_answers_are_remembered_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scraper's password is checked once; guesses fill no memory and do not make the right answer forgotten."""
    asked: list[bytes] = []
    real = passwords._check

    def check(given: bytes, hashed: bytes) -> bool:
        asked.append(given)
        return real(given, hashed)

    monkeypatch.setattr(passwords, "_check", check)

    async def ask() -> int:
        check = PasswordCheck()
        for _ in range(5):
            assert await check.admits(header("alice", "secret"), USERS)
            assert not await check.admits(header("alice", "wrong"), USERS)
        assert asked == [b"secret", b"wrong"]
        for number in range(REMEMBERED_ANSWERS + 20):
            await check.admits(header("alice", str(number)), USERS)
        assert await check.admits(header("alice", "secret"), USERS)
        assert asked.count(b"secret") == 1
        return len(check._bad)

    assert asyncio.run(ask()) == REMEMBERED_ANSWERS


def test_a_changed_hash_is_asked_again() -> None:
    """A remembered answer belongs to one hash."""

    async def ask() -> tuple[str | None, str | None]:
        check = PasswordCheck()
        before = await check.admits(header("alice", "secret"), USERS)
        return before, await check.admits(header("alice", "secret"), {"alice": USERS["bob"]})

    assert asyncio.run(ask()) == ("alice", None)


def test_an_unknown_user_costs_a_check_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer does not tell which users there are: the cost is that of the users' own hashes."""
    asked: list[bytes] = []

    def refuse(_given: bytes, hashed: bytes) -> bool:
        asked.append(hashed)
        return False

    monkeypatch.setattr(passwords, "_check", refuse)
    admits(header("mallory", "secret"))
    assert [hashed[:7] for hashed in asked] == [b"$2b$04$"]
    assert not bcrypt.checkpw(b"secret", asked[0])


def test_few_wait_for_their_check_and_fewer_of_one_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who guess fill their own places only: another peer's password is checked, a known one is not even that."""
    release = threading.Event()
    monkeypatch.setattr(passwords, "_check", lambda given, hashed: release.wait(10) and given == b"secret")

    async def ask() -> tuple[list[object], str | None, str | None]:
        check = PasswordCheck()
        check._good[check._question("alice", b"known", USERS["alice"])] = None
        guesses = [asyncio.create_task(check.admits(header("alice", str(n)), USERS, "10.0.0.1")) for n in range(240)]
        await asyncio.sleep(0)
        known = await check.admits(header("alice", "known"), USERS, "10.0.0.1")
        other = asyncio.create_task(check.admits(header("alice", "secret"), USERS, "10.0.0.2"))
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(*guesses, return_exceptions=True), known, await other

    guesses, known, other = asyncio.run(ask())
    assert (known, other) == ("alice", "alice")
    assert sum(isinstance(answer, TooManyChecksError) for answer in guesses) == 240 - WAITING_LIMIT_PER_PEER


@given(st.text())
def test_no_header_disturbs_the_reading(text: str) -> None:
    """Whatever a client sends is credentials or is not."""
    assert read_basic(text) is None or text[:6].lower() == "basic "


@given(st.text().filter(lambda user: ":" not in user and user.isprintable()), st.text().filter(str.isprintable))
def test_user_and_password_are_read_as_they_were_written(user: str, password: str) -> None:
    """The password may hold colons, the user may not (RFC 7617)."""
    assert read_basic(header(user, password)) == (user, password.encode())
