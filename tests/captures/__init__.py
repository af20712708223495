"""Real messages of Falco 0.43.1, host values changed, and their reader."""

from __future__ import annotations

from pathlib import Path

_DIRECTORY = Path(__file__).parent


def read_messages(name: str) -> list[bytes]:
    """Return the gRPC messages of a varint-delimited file."""
    data = (_DIRECTORY / name).read_bytes()
    messages, position = [], 0
    while position < len(data):
        size = shift = 0
        while True:
            byte = data[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        messages.append(data[position : position + size])
        position += size
    return messages


def read_json_lines() -> list[str]:
    """Return the alerts of ``responses.bin`` as Falco's JSON."""
    return (_DIRECTORY / "alerts.jsonl").read_text("utf-8").splitlines()
