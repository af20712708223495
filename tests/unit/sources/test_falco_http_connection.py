"""The receiver's reading of HTTP: however the bytes come, the same requests."""

from __future__ import annotations

import asyncio
import random

from tests.http_requests import BODIES, Line, cut, good, streams


def test_the_pieces_of_a_stream_do_not_matter() -> None:
    """Whole, cut anywhere, or after heads that are known already: the same answers, the same alerts."""
    chance = random.Random(5)

    async def play() -> None:
        line = Line()
        for body in BODIES:
            line.give([good(body)] * 3)
        assert len(line.shared.heads) > 0
        first = good(BODIES[0])
        for stream in streams(chance, 3_000):
            whole = line.give([first, stream])
            assert line.give([first, *cut(stream, chance)]) == whole, stream
            line.shared.heads.clear()
            assert line.give([first, stream]) == whole, stream
            assert line.give([stream]) == (whole[0][1:], whole[1][1:], whole[2]), stream
        assert len(line.shared.connections) == 0
        assert line.shared.parts_bytes == 0

    asyncio.run(play())


def test_known_heads_are_bounded() -> None:
    """Senders make up headers: what is remembered stays small."""

    async def play() -> None:
        line = Line()
        for number in range(5_000):
            request = good(BODIES[0]).replace(b"Host: x", b"Host: %d" % number)
            assert line.give([request])[0] == [200]
        assert 0 < len(line.shared.heads) <= 2_048
        line.shared.heads.clear()
        line.give([good(BODIES[0]).replace(b"Host: x", b"Host: " + b"x" * 2_000)] * 3)
        assert line.shared.heads == {}

    asyncio.run(play())
