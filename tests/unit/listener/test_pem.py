"""PEM files of TLS: what cannot be used is said before a socket opens, with the setting's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.listener.pem import PemFile, check_files
from tests.integration.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def check(authority: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> None:
    check_files(PemFile("ca", authority), PemFile("cert", certificate), PemFile("key", key))


def test_files_that_belong_together_are_right(authority: Authority) -> None:
    """All three, the authority only, the pair only, and none."""
    pair = authority.make_client()
    check(authority.cert_file, pair.cert_file, pair.key_file)
    check(authority.cert_file)
    check(None, pair.cert_file, pair.key_file)
    check()


def test_half_a_pair_is_wrong(authority: Authority) -> None:
    """A certificate needs its key, and a key its certificate."""
    pair = authority.make_client()
    for half in ((None, pair.cert_file), (None, None, pair.key_file)):
        with pytest.raises(ConfigError, match="cert and key go together; only one is set"):
            check(*half)


def test_the_wrong_key_is_found(authority: Authority) -> None:
    """A key of another certificate, and one that asks for a passphrase, which nobody could answer."""
    pair, other = authority.make_client("a"), authority.make_client("b")
    with pytest.raises(ConfigError, match="cert and key: expected a certificate and its own private key"):
        check(None, pair.cert_file, other.key_file)
    pair.encrypt_key()
    with pytest.raises(ConfigError, match="without a passphrase"):
        check(None, pair.cert_file, pair.key_file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"0\x82\x01", "ca: expected a PEM file, and .* holds no line -----BEGIN"),
        (b"-----BEGIN CERTIFICATE-----\nnone\n", "ca: expected certificates in a PEM file, and none can be read"),
    ],
)
def test_an_authority_that_is_none_is_found(tmp_path: Path, content: bytes, words: str) -> None:
    """Binary, and PEM around nothing."""
    file = tmp_path / "ca"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        check(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the reason and what to do."""
    with pytest.raises(ConfigError, match=r"key: expected a readable PEM file, found .*none.* correct the path"):
        check(None, None, tmp_path / "none")
