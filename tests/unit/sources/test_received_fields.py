"""Output fields that are taken out of the message's entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter._proto import falco_lenient_pb2, falco_outputs_pb2
from exporter.sources.received_fields import to_fields
from tests.captures import read_messages

TEXT = st.text(st.characters(codec="utf-8"), max_size=300)


def of(message: bytes) -> dict[str, str]:
    return to_fields(falco_lenient_pb2.received.FromString(message).output_fields)


def with_entries(*entries: bytes) -> bytes:
    return falco_lenient_pb2.received(output_fields=entries).SerializeToString()


@given(fields=st.dictionaries(TEXT, TEXT, max_size=6))
def test_they_are_the_messages_map(fields: dict[str, str]) -> None:
    """Whatever the names and values: the same fields, by name."""
    message = falco_outputs_pb2.response(rule="r", output_fields=fields).SerializeToString()
    assert list(of(message).items()) == sorted(fields.items())


def test_real_messages_give_the_same() -> None:
    """Every captured message, through protobuf's map and through ours."""
    for message in read_messages("responses.bin"):
        assert of(message) == dict(falco_outputs_pb2.response.FromString(message).output_fields)


@pytest.mark.parametrize(
    "entries",
    [
        (b"\x12\x01v\x0a\x01k",),  # the value first
        (b"\x0a\x01k\x12\x01a", b"\x0a\x01k\x12\x01b"),  # one name twice
        (b"\x0a\x01k\x12\x01a\x12\x01b",),  # two values in one entry
        (b"\x0a\x81\x00k\x12\x01v",),  # a length with a needless byte
        (b"\x0a\x01k",),  # no value
        (b"\x12\x01v",),  # no name
        (b"",),
        (b"\x0a\x00\x12\x00",),
    ],
)
def test_entries_that_falco_does_not_write_are_read_as_protobuf_reads_them(entries: tuple[bytes, ...]) -> None:
    """The short way through an entry gives way to protobuf's own parser."""
    message = with_entries(*entries)
    assert of(message) == dict(falco_outputs_pb2.response.FromString(message).output_fields)


@given(st.lists(st.binary(max_size=12), max_size=3))
def test_any_entry_that_the_message_parser_takes_is_taken(entries: list[bytes]) -> None:
    """No message that was accepted fails later, and no name of it is missing."""
    message = with_entries(*entries)
    try:
        expected = dict(falco_outputs_pb2.response.FromString(message).output_fields)
    except Exception:  # noqa: BLE001 - protobuf's own, of a private module
        return
    assert expected.keys() <= of(message).keys()


def test_an_entry_with_a_member_of_a_later_contract_keeps_its_value() -> None:
    """Protobuf's map would leave the whole entry out."""
    assert of(with_entries(b"\x0a\x01k\x12\x01v\x1a\x01x")) == {"k": "v"}
