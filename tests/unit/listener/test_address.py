"""The notation of addresses to listen on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from exporter.config.model import Config, FalcoHttp, Web
from exporter.config.validate import validate
from exporter.errors import ConfigError
from exporter.listener.address import Address, bind


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


@pytest.mark.parametrize(
    ("text", "reason", "what_to_do"),
    [
        ("192.0.2.1:2801", "Cannot assign requested address", "expected an address of this machine"),
        ("nowhere.invalid:2801", "", "expected an address of this machine (`ip address` lists them), or :2801 for all"),
        ("unix:///nowhere/x.sock", "No such file", "expected a directory that exists and in which uid "),
    ],
)
def test_what_cannot_be_listened_on_is_said_with_what_helps(text: str, reason: str, what_to_do: str) -> None:
    """Each kind of error has advice of its own, behind the setting that was wrong."""
    with pytest.raises(ConfigError) as caught:
        bind(Address.from_text(text, "http.address"))
    said = str(caught.value)
    assert said.startswith(f"http.address: cannot listen on {text}: {reason}")
    assert f"; {what_to_do}" in said


def test_who_holds_an_address_can_be_found(tmp_path: Path) -> None:
    """The command in the message names the program that listens there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"Address already in use; .* \\(`ss -ltnp 'sport = :{port}'` names it\\)"
        ):
            bind(Address.from_text(f"127.0.0.1:{port}", "http.address"))


@pytest.mark.parametrize(
    ("first", "second", "clashes"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        (":1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "0.0.0.0:1", True),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("unix:///x", "unix:/x", True),
        ("unix:///x", "unix:///y", False),
        ("unix:///x", "127.0.0.1:1", False),
    ],
)
def test_two_listeners_that_want_one_address_are_a_mistake(first: str, second: str, clashes: bool) -> None:
    """Said when settings are read, by name, and not by whichever of the two comes second."""
    one, other = Address.from_text(first, "a"), Address.from_text(second, "b")
    assert one.clashes_with(other) is other.clashes_with(one) is clashes
    config = Config(http=FalcoHttp(address=second), web=Web(listen_address=first))
    if clashes:
        with pytest.raises(ConfigError, match=r"http\.address: found .*, expected an address that web\.listen_address"):
            validate(config)
    else:
        validate(config)
