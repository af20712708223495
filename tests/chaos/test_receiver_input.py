"""Random streams of requests to the receiver of Falco's http_output: an answer or an end, nothing of ours."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable

import pytest

from exporter import likeness
from exporter.kept import Recent
from exporter.sources import decode_json
from exporter.sources.alike_json import AlikeMessages
from tests.http_requests import Line, cut, streams

STREAMS = 100_000
GROWTH_LIMIT_BYTES = 1 * 1024 * 1024


def test_random_streams_leave_nothing_behind(say: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes, in whatever pieces: no exception, no connection and no memory that stays.

    What is kept of alerts that came again has bounds and tests of its own, and is given back before memory is read.
    """
    chance = random.Random(13)
    answers: Counter[int] = Counter()

    def forget_alike() -> None:
        monkeypatch.undo()  # It would keep what it replaces.
        monkeypatch.setattr(decode_json, "_ALIKE", AlikeMessages(decode_json._read_alert))
        monkeypatch.setattr(likeness, "_KNOWN", Recent(likeness.LIKENESSES))

    async def play() -> int:
        line, before = Line(), 0
        for number, stream in enumerate(streams(chance, STREAMS)):
            answers.update(line.give(cut(stream, chance) if number % 2 else [stream])[0])
            if number % 100 == 0:
                await asyncio.sleep(0)
            if number == STREAMS // 10:
                forget_alike()
                gc.collect()
                tracemalloc.start()
                before = tracemalloc.get_traced_memory()[0]
        assert len(line.shared.connections) == 0
        assert line.shared.parts_bytes == 0
        await asyncio.sleep(0)
        line.shared.heads.clear()
        line.delivered.alerts.clear()
        forget_alike()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    try:
        growth = asyncio.run(play())
    finally:
        tracemalloc.stop()
    say(f"{STREAMS} streams; answers {dict(sorted(answers.items()))}; memory grew by {growth / 2**20:.2f} MiB")
    assert growth < GROWTH_LIMIT_BYTES
