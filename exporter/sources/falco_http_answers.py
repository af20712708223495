"""Answers of the receiver, as bytes.

Owns status lines and headers; every answer is made whole beforehand or once
per refusal, for the way of an alert has no time for it.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def make_answer(status: int, text: str = "", *headers: str) -> bytes:
    """Return one HTTP/1.1 response: plain text, and ``headers`` as whole lines."""
    body = text.encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    if body:
        lines += ["Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def as_last(answer: bytes) -> bytes:
    """Return the answer saying that the connection ends with it."""
    return answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
