"""What of the advice was run: the digest that stands for an author's block.

Owns how a block is named in the lab's results. A block that changes gets
another digest, and what was proven of it before is proven no more.
"""

from __future__ import annotations

import hashlib


def digest(text: str) -> str:
    """Return the name of a block as its author wrote it, 16 hexadecimal digits; spaces at line ends do not count."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
