"""As much of HTTP/2 (RFC 9113) and HPACK (RFC 7541) as a gRPC server of three methods needs.

Owns frames and the reading of one header, ``:path``. Refuses dynamic tables:
the server's settings forbid them, so every header block can be read by itself.
"""

from __future__ import annotations

import struct
from functools import cache

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
FRAME_LIMIT = 16_384
DEFAULT_WINDOW = 65_535
INITIAL_WINDOW_SIZE = 4

SERVER_SETTINGS = struct.pack(">HIHI", 1, 0, INITIAL_WINDOW_SIZE, 1 << 20)
"""SETTINGS_HEADER_TABLE_SIZE 0, and room for a client's requests."""
RESPONSE_HEADERS = b"\x88\x0f\x10\x10application/grpc"
""":status 200 (static entry 8); content-type (static entry 31), literal."""
OK_TRAILERS = b"\x00\x0bgrpc-status\x010"
UNIMPLEMENTED_TRAILERS = b"\x00\x0bgrpc-status\x0212"

_PATH_ENTRIES = {4: "/", 5: "/index.html"}
_STATIC_ENTRIES = 61
# RFC 7541, appendix B: the lengths of the codes of bytes 0 to 255 and of the end, one letter each (E is 5).
# The code is canonical, so that the lengths give the codes.
_CODE_LENGTHS = tuple(
    ord(letter) - 64
    for letter in (
        r"MW\\\\\\\X^\\^\\\\\\\\^\\\\\\\\\FJJLMFHKJJHKHFFFEEEFFFFFFFGHOFLJMFGGGGGGGGGGGGGGGGGGGGGGHGHMSMNFOEFE"
        r"FEFFFEGGFFFEFGFEEFGGGGGOKNM\TVTTVVVWVWWWWWXWXXVWXWWWWUVWVWWXVUTVVWWUWVVXUVWWUUVUWVWWTVVVWVVWZZTSVWVY"
        r"ZZZ[[ZXYSUZ[[Z[XUUZZ\[[[TXTUVUUWVVYYXXZWZ[ZZ[[[[[\[[[[[Z^"
    )
)


def to_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Write one frame."""
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def to_grpc(message: bytes) -> bytes:
    """Write one uncompressed gRPC message with its length before it."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def read_path(block: bytes) -> str:
    """Return ``:path`` of a header block written without a dynamic table; empty where it has none."""
    position = 0
    while position < len(block):
        first = block[position]
        if first & 0x80:
            index, position = _read_integer(block, position, 7)
            if index in _PATH_ENTRIES:
                return _PATH_ENTRIES[index]
        elif first & 0xE0 == 0x20:
            _, position = _read_integer(block, position, 5)
        else:
            index, position = _read_integer(block, position, 6 if first & 0x40 else 4)
            name = ""
            if index == 0:
                name, position = _read_string(block, position)
            value, position = _read_string(block, position)
            if name == ":path" or index in _PATH_ENTRIES:
                return value
    return ""


def _read_integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value = block[position] & limit
    position += 1
    if value < limit:
        return value, position
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _read_string(block: bytes, position: int) -> tuple[str, int]:
    huffman = block[position] & 0x80
    size, position = _read_integer(block, position, 7)
    raw = block[position : position + size]
    return (_from_huffman(raw) if huffman else raw.decode("latin-1")), position + size


@cache
def _make_codes() -> dict[tuple[int, int], int]:
    """Return byte by length and code."""
    codes: dict[tuple[int, int], int] = {}
    code = length = 0
    for symbol in sorted(range(len(_CODE_LENGTHS)), key=lambda symbol: (_CODE_LENGTHS[symbol], symbol)):
        code <<= _CODE_LENGTHS[symbol] - length
        length = _CODE_LENGTHS[symbol]
        codes[length, code] = symbol
        code += 1
    return codes


def _from_huffman(raw: bytes) -> str:
    codes = _make_codes()
    text = bytearray()
    code = length = 0
    for byte in raw:
        for shift in range(7, -1, -1):
            code = code << 1 | byte >> shift & 1
            length += 1
            if (symbol := codes.get((length, code))) is not None:
                text.append(symbol)
                code = length = 0
    return text.decode("latin-1")
