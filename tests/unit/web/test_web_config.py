"""Prometheus' web configuration file."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import bcrypt
import pytest

from exporter.errors import ConfigError
from exporter.web.reloading import WebConfigFile
from exporter.web.web_config import read_web_config
from tests.integration.certificates import Authority

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


def write(directory: Path, text: str) -> Path:
    file = directory / "web.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_whole_file_is_read(tmp_path: Path) -> None:
    """Paths are relative to the file, users carry their hashes, headers their values."""
    file = write(
        tmp_path,
        f"""
tls_server_config:
  cert_file: server.pem
  key_file: /etc/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=60
basic_auth_users:
  alice: {HASH}
""",
    )
    config = read_web_config(file)
    assert config.tls is not None
    assert config.tls.cert_file == tmp_path / "server.pem"
    assert config.tls.key_file == Path("/etc/server.key")
    assert config.tls.client_auth is ssl.CERT_REQUIRED
    assert config.tls.min_version is ssl.TLSVersion.TLSv1_3
    assert config.tls.ciphers == "ECDHE-RSA-AES128-GCM-SHA256"
    assert config.users == {"alice": HASH.encode()}
    assert config.headers == {"Strict-Transport-Security": "max-age=60"}
    assert config.authenticates


@pytest.mark.parametrize(
    ("text", "authenticates"),
    [
        (f"basic_auth_users: {{alice: {HASH}}}", True),
        ("tls_server_config: {cert_file: a, key_file: b}", False),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c, "
            "client_auth_type: VerifyClientCertIfGiven}",
            False,
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c, "
            "client_auth_type: RequireAndVerifyClientCert}",
            True,
        ),
    ],
    ids=["passwords", "no clients", "clients if given", "clients"],
)
def test_only_passwords_and_required_certificates_authenticate(tmp_path: Path, text: str, authenticates: bool) -> None:
    """Encryption alone, or a certificate that may be left out, keeps nobody away."""
    assert read_web_config(write(tmp_path, text)).authenticates is authenticates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tls: {}", "web.yml:1: tls: unknown key 'tls'; expected one of: basic_auth_users"),
        ("tls_server_config: {cert_file: a}", "missing key: key_file"),
        ("tls_server_config: {cert_file: a, key_file: b, ca: c}", "unknown key 'ca'"),
        ("tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}", "go together"),
        ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS9}", "found 'TLS9', expected one of: TLS10"),
        ("tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}", "expected one of"),
        ("tls_server_config: {cert_file: a, key_file: b, cipher_suites: [RC4]}", "found 'RC4'"),
        ("http_server_config: {headers: {Set-Cookie: a}}", "unknown key 'Set-Cookie'"),
        ('http_server_config: {headers: {X-Frame-Options: "a\\nb"}}', "no header can hold"),
        ("basic_auth_users: {alice: topsecret}", "basic_auth_users.alice: expected a bcrypt hash"),
        ("basic_auth_users: {alice: [topsecret]}", "expected a bcrypt hash"),
        ("basic_auth_users: topsecret", "expected user names"),
        ("basic_auth_users: [topsecret]", "expected user names"),
        ("basic_auth_users: {alice: 'topsecret", "not valid YAML"),
        ("", "the file is empty"),
        (
            "tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}",
            "min_version is above max_version",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_without_secrets(tmp_path: Path, text: str, expected: str) -> None:
    """Each message names file and key; none holds a password, a hash or a key's content."""
    with pytest.raises(ConfigError) as caught:
        read_web_config(write(tmp_path, text))
    message = str(caught.value)
    assert expected in message
    assert "web.yml" in message
    assert "topsecret" not in message


@pytest.mark.parametrize("text", ["basic_auth_users: {{alice:{0}: }}", "basic_auth_users:{0}: x", "{0}: {{}}"])
def test_a_hash_in_the_wrong_place_is_not_shown(tmp_path: Path, text: str) -> None:
    """A missing space makes it part of a key; messages name keys."""
    hashed = "$2y$10$" + "a" * 53
    with pytest.raises(ConfigError) as caught:
        read_web_config(write(tmp_path, text.format(hashed)))
    assert "aaaa" not in str(caught.value)


def test_unusable_certificates_are_refused_at_the_start(tmp_path: Path) -> None:
    """A missing file, a key of another certificate: the message names the files and what was expected."""
    one, other = Authority(tmp_path, "one"), Authority(tmp_path, "other")
    pair, stranger = one.make_server("a"), other.make_server("b")
    for key in (stranger.key_file, tmp_path / "missing.key"):
        file = write(tmp_path, f"tls_server_config: {{cert_file: {pair.cert_file}, key_file: {key}}}")
        with pytest.raises(ConfigError, match="expected PEM files that belong together") as caught:
            WebConfigFile(file)
        assert str(key) in str(caught.value)
        assert "PRIVATE KEY" not in str(caught.value)


def test_an_encrypted_key_does_not_ask_on_the_terminal(tmp_path: Path) -> None:
    """OpenSSL would wait for a passphrase; a daemon has nobody to type it."""
    pair = Authority(tmp_path).make_server()
    pair.encrypt_key()
    file = write(tmp_path, f"tls_server_config: {{cert_file: {pair.cert_file}, key_file: {pair.key_file}}}")
    with pytest.raises(ConfigError, match="without a passphrase"):
        WebConfigFile(file)


def test_a_change_is_taken_over_and_a_broken_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is in force stays until the file can be used again; the log says so once, without secrets."""
    file = write(tmp_path, f"basic_auth_users: {{alice: {HASH}}}")
    watched = WebConfigFile(file)
    assert list(watched.current().users) == ["alice"]
    write(tmp_path, "basic_auth_users: {alice: topsecret, bob: x}")
    for _ in range(3):
        assert list(watched.current().users) == ["alice"]
    assert not watched.is_current
    assert len(caplog.records) == 1
    assert "topsecret" not in caplog.text
    write(tmp_path, f"basic_auth_users: {{carol: {HASH}}}")
    assert list(watched.current().users) == ["carol"]
    assert watched.is_current


def test_a_renewed_certificate_makes_a_new_context(tmp_path: Path) -> None:
    """Certificates change without the configuration file; a file put in place by renaming counts as well."""
    authority = Authority(tmp_path)
    pair = authority.make_server("a")
    file = write(tmp_path, f"tls_server_config: {{cert_file: {pair.cert_file}, key_file: {pair.key_file}}}")
    watched = WebConfigFile(file)
    first = watched.context()
    assert first is not None
    assert watched.context() is first
    renewed = authority.make_server("b")
    os.replace(renewed.cert_file, pair.cert_file)  # noqa: PTH105
    assert watched.context() is first, "the key does not belong to the certificate yet"
    os.replace(renewed.key_file, pair.key_file)  # noqa: PTH105
    assert watched.context() is not first
    assert watched.is_current


def test_without_a_file_there_is_neither_tls_nor_authentication() -> None:
    """The setting is optional."""
    watched = WebConfigFile(None)
    assert watched.context() is None
    assert not watched.current().authenticates
