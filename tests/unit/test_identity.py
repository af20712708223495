"""Constant labels, and the node's name in the place of Falco's hostname."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.config.model import Identity
from exporter.identity import labels_of, make_hosts
from tests.otel_records import ALERT


@pytest.mark.parametrize(
    ("hosts", "hostname", "expected"),
    [
        (("falco-x7k2p=node-1",), "falco-x7k2p", "node-1"),
        (("falco-x7k2p=node-1",), "falco-x7k2", "falco-x7k2"),
        (("falco-*=node-{1}",), "falco-7", "node-7"),
        (("*.internal=first", "ip-*-*.eu=n{2}.{1}"), "ip-10-11.eu", "n11.10"),
        (("a.c=x",), "abc", "abc"),
        (("*={1}{9}",), "h\nost", "h\nost"),
        (("h*={1}",), "h", "h"),
    ],
)
def test_hosts_get_the_name_that_the_first_pattern_gives(hosts: tuple[str, ...], hostname: str, expected: str) -> None:
    """A star is any characters and gives {1}; what no pattern fits, or what would be empty, stays."""
    rename = make_hosts(Identity(hosts=hosts))
    assert rename is not None
    for _ in range(2):
        assert rename(replace(ALERT, hostname=hostname, received=b"x")).hostname == expected


def test_without_settings_nothing_is_done() -> None:
    """No transformation, no labels."""
    assert make_hosts(Identity()) is None
    assert labels_of(Identity()) == {}
    assert labels_of(Identity(labels=("cluster=prod", "note=a=b"))) == {"cluster": "prod", "note": "a=b"}
