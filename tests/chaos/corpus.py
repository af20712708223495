"""One corpus of damaged input: documents with bytes changed, cut, repeated, nested or replaced by hostile values."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.hostile import hostile_values

DEPTH = 20_000
_HOSTILE = [value.encode("utf-8", "surrogatepass") for value in hostile_values() if len(value) < 2_000]
_OPENING = (
    b"[",
    b"{",
    b'{"a":',
    b"(",
    b"not ",
    b"- ",
    b"? ",
    b"&a [",
    b"%(",
    b"<<: *a\n",
    b'"',
    b"'",
    b"\\",
    b"!!",
    b"\0",
)
_NUMBERS = (b"1e999", b"-1", b"9" * 400, b"0x7fffffffffffffff", b"18446744073709551616", b"NaN", b"-0", b".inf", b"1_0")


def deep() -> Iterator[bytes]:
    """Yield what opens more than any parser's stack holds."""
    for opening in _OPENING:
        yield opening * DEPTH


def damaged(seeds: Sequence[bytes], number: int, chance: random.Random) -> Iterator[bytes]:
    """Yield ``number`` inputs, the deep ones first, then the seeds as they are, then damaged ones."""
    first = [*deep(), *seeds][:number]
    yield from first
    for turn in range(number - len(first)):
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            place = chance.randrange(len(body) + 1)
            until = min(len(body), place + chance.randrange(1, 40))
            match (turn + chance.randrange(2)) % 8:
                case 0:
                    del body[place:]
                case 1:
                    body[place:until] = chance.randbytes(until - place)
                case 2:
                    body[place:place] = chance.choice(_HOSTILE)
                case 3:
                    body[place:place] = body[place:until] * chance.randrange(1, 9)
                case 4:
                    body[place:until] = chance.choice(_NUMBERS)
                case 5:
                    body[place:place] = chance.choice(_OPENING) * chance.randrange(1, 60)
                case 6:
                    other = chance.choice(seeds)
                    cut = chance.randrange(len(other) + 1)
                    body[place:] = other[cut:]
                case _:
                    del body[place:until]
        yield bytes(body[:100_000])
