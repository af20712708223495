"""A listener's certificate that every client would refuse for its dates is known before the first client comes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from exporter.listener.validity import date_problem
from tests.integration.certificates import Authority


@pytest.mark.parametrize(("days", "problem"), [(1, ""), (-1, "has expired")])
def test_a_certificate_is_looked_at_as_a_client_does(tmp_path: Path, days: int, problem: str) -> None:
    """Its dates only: who signed it, and for which name, is between client and authority."""
    pair = Authority(tmp_path).make_server("odd.example", host="odd.example", days=days)
    assert date_problem(pair.cert_file, pair.key_file) == problem


def test_files_that_are_no_pair_are_an_error(tmp_path: Path) -> None:
    """There is nothing to say about dates then."""
    authority = Authority(tmp_path)
    first, second = authority.make_server("a"), authority.make_server("b")
    with pytest.raises(ssl.SSLError):
        date_problem(first.cert_file, second.key_file)
