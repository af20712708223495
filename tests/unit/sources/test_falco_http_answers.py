"""Answers, byte by byte."""

from __future__ import annotations

import re

from exporter.sources.falco_http_answers import as_last, make_answer

DATE = rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n"


def test_an_answer_without_a_text() -> None:
    """Status, date, length."""
    assert re.fullmatch(rb"HTTP/1\.1 200 OK\r\n" + DATE + rb"Content-Length: 0\r\n\r\n", make_answer(200))


def test_an_answer_with_text_and_headers() -> None:
    """The length is that of the bytes; browsers guess no other type."""
    answer = make_answer(404, "not \xe9\n", "X: y", "Z: \xe9")
    assert re.fullmatch(
        rb"HTTP/1\.1 404 Not Found\r\n" + DATE + rb"X: y\r\nZ: \xe9\r\nContent-Length: 7\r\n"
        rb"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\r\nnot \xc3\xa9\n",
        answer,
    )


def test_the_last_answer_says_so() -> None:
    """Once, after the status."""
    answer = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx\r\ny"
    assert as_last(answer) == b"HTTP/1.1 200 OK\r\nConnection: close\r\nA: b\r\n\r\nx\r\ny"
