"""A queue under test: its drops counted, its clock moved by hand, its disk made full."""

from __future__ import annotations

import contextlib
import resource
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from exporter.config.model import Queue
from exporter.sinks.otel.queue.spool import MemoryLimit, Spool

LIMIT_BYTES = 1_000_000


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


OPENED: list[Bench] = []


class Bench:
    """A spool with its drops counted; closed at the end of the test."""

    def __init__(
        self,
        directory: Path | None,
        *,
        clock: Clock | None = None,
        memory_bytes: int = 10**6,
        memory_records: int | None = None,
        **settings: object,
    ):
        self.drops: Counter[str] = Counter()
        self.clock = clock or Clock()
        options = {"limit_bytes": LIMIT_BYTES, "limit_age_seconds": 1e9, **settings}
        self.spool: Spool[bytes] = Spool(
            Queue(directory=directory, **options),  # type: ignore[arg-type]
            load=lambda stored, _records: stored,
            on_drop=lambda reason, records: self.drops.update({reason: records}),
            memory=MemoryLimit(memory_bytes, memory_records),
            clock=self.clock,
        )
        OPENED.append(self)
        self.spool.open()

    def drain(self) -> list[bytes]:
        """Everything that waits, taken and released."""
        found: list[bytes] = []
        while batch := self.spool.take(10, 10_000):
            found += batch
            self.spool.release()
        return found


class WithAdvice(bytes):
    """A payload that is shorter on disk than in memory, as records with their advice are."""

    def __len__(self) -> int:
        return 3 * super().__len__()

    def __bytes__(self) -> bytes:
        return self[:]


def payloads(count: int, *, size: int = 100) -> list[bytes]:
    return [f"{index:06d}".encode().ljust(size, b".") for index in range(count)]


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.chunks"))


def killed(directory: Path, other: Path) -> Bench:
    """What the next process finds after a kill -9 of the one that holds the directory now."""
    shutil.copytree(directory, other)
    return Bench(other, limit_bytes=10**9)


@contextlib.contextmanager
def resource_limit_of_file_size(limit_bytes: int) -> Iterator[None]:
    """No file of this process grows above the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
