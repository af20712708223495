"""The notation of addresses to listen on."""

from __future__ import annotations

import pytest

from exporter.config.model import Config, FalcoHttp
from exporter.config.validate import validate
from exporter.errors import ConfigError
from exporter.listener.address import Address


@pytest.mark.parametrize(
    ("text", "expected", "is_loopback"),
    [
        (":9376", Address("", 9376), False),
        ("127.0.0.1:0", Address("127.0.0.1", 0), True),
        ("127.9.9.9:1", Address("127.9.9.9", 1), True),
        ("localhost:9376", Address("localhost", 9376), True),
        ("[::1]:9376", Address("::1", 9376), True),
        ("[::]:9376", Address("::", 9376), False),
        ("0.0.0.0:9376", Address("0.0.0.0", 9376), False),
        ("falco.example:9376", Address("falco.example", 9376), False),
        ("unix:///run/x.sock", Address("", 0, "/run/x.sock"), True),
    ],
)
def test_an_address_is_read_and_known_as_loopback_or_not(text: str, expected: Address, is_loopback: bool) -> None:
    """Report pages depend on what only this machine can reach."""
    address = Address.from_text(text, "web.listen_address")
    assert address == expected
    assert address.is_loopback is is_loopback
    assert str(address) == text


NONE = [
    "",
    "9376",
    "host",
    "host:",
    ":x",
    ":65536",
    ":-1",
    "::1:9376",
    "http://x:1/",
    ":٣",
    "host/x:1",
    "[host]:1",
    "[]:1",
]
NO_PATH = ["unix:", "unix://", "unix:x.sock", "unix://run/x.sock", "unix:///run/x\0.sock", "unix:///run/x\n.sock"]


@pytest.mark.parametrize("text", [*NONE, *NO_PATH])
def test_what_is_no_address_is_refused(text: str) -> None:
    """The message names the setting, the text and the notation."""
    with pytest.raises(ConfigError, match=r"web\.listen_address: found .*, expected HOST:PORT") as caught:
        Address.from_text(text, "web.listen_address")
    assert repr(text) in str(caught.value)


def test_both_notations_of_a_socket_mean_the_same() -> None:
    """``unix:/PATH`` is how gRPC writes what others write ``unix:///PATH``."""
    assert Address.from_text("unix:/run/x.sock", "x") == Address.from_text("unix:///run/x.sock", "x")


@pytest.mark.parametrize("text", [*NONE, *NO_PATH])
def test_the_configuration_refuses_what_no_listener_takes(text: str) -> None:
    """One parser: what is checked before the start is what is bound later."""
    if text:
        with pytest.raises(ConfigError, match=r"http\.address: found"):
            validate(Config(http=FalcoHttp(address=text)))
