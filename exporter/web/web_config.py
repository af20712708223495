"""Prometheus' web configuration file: TLS, client certificates, basic auth, headers.

Owns the file's format as Prometheus' exporter-toolkit documents it
(``web-configuration.md``), read whole and strictly. Refuses to print a secret:
neither a hash nor a key's content is ever part of a message.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from exporter.errors import ConfigError
from exporter.listener.tls import ServerTls
from exporter.yaml_nodes import Node, read_document

T = TypeVar("T")

_TLS_KEYS = frozenset(
    {
        "cert_file",
        "key_file",
        "client_auth_type",
        "client_ca_file",
        "min_version",
        "max_version",
        "cipher_suites",
        "prefer_server_cipher_suites",
    }
)
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
}
"""Go's names to OpenSSL's; those of TLS 1.3 are always on."""
_HEADERS = frozenset(
    {
        "Content-Security-Policy",
        "Strict-Transport-Security",
        "X-Content-Type-Options",
        "X-Frame-Options",
        "X-XSS-Protection",
    }
)
_HASH = re.compile(r"\$2[abxy]?\$[\w./$]*")
_BCRYPT = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}\Z")


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The whole file."""

    tls: ServerTls | None = None
    users: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """``basic_auth_users``: bcrypt hashes by user name."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Response headers to add."""

    @property
    def authenticates(self) -> bool:
        """Whether nobody gets in without a password or a certificate."""
        return bool(self.users) or self.requires_certificate

    @property
    def requires_certificate(self) -> bool:
        """Whether nobody gets in without a client certificate."""
        return self.tls is not None and self.tls.client_auth is ssl.CERT_REQUIRED


def read_web_config(path: Path) -> WebConfig:
    """Read the file. Raises ConfigError naming file, line and key of what is wrong; unknown keys are."""
    try:
        return _read(path)
    except ConfigError as exc:
        # A slip such as "alice:$2y$…" makes the hash part of a key, which a message would name.
        raise ConfigError(_HASH.sub("(a hash)", str(exc))) from None


def _read(path: Path) -> WebConfig:
    root = read_document(path, ConfigError).mapping(
        frozenset({"tls_server_config", "http_server_config", "basic_auth_users"})
    )
    return WebConfig(
        _tls(root["tls_server_config"], path.parent) if "tls_server_config" in root else None,
        _users(root["basic_auth_users"]) if "basic_auth_users" in root else {},
        _headers(root["http_server_config"]) if "http_server_config" in root else {},
    )


def _tls(node: Node, directory: Path) -> ServerTls:
    keys = node.mapping(_TLS_KEYS, frozenset({"cert_file", "key_file"}))
    client_auth = _choice(keys.get("client_auth_type"), _CLIENT_AUTH, ssl.CERT_NONE)
    client_ca = directory / keys["client_ca_file"].text() if "client_ca_file" in keys else None
    if (client_auth is ssl.CERT_NONE) != (client_ca is None):
        raise node.error(
            "client_ca_file and a client_auth_type that verifies (VerifyClientCertIfGiven, "
            "RequireAndVerifyClientCert) go together: found only one of them"
        )
    minimum = _choice(keys.get("min_version"), _VERSIONS, ssl.TLSVersion.TLSv1_2)
    maximum = _choice(keys.get("max_version"), _VERSIONS, ssl.TLSVersion.TLSv1_3)
    if minimum > maximum:
        raise node.error("min_version is above max_version: no client could connect")
    return ServerTls(
        directory / keys["cert_file"].text(),
        directory / keys["key_file"].text(),
        client_auth,
        client_ca,
        minimum,
        maximum,
        _ciphers(keys.get("cipher_suites")),
    )


def _choice(node: Node | None, choices: Mapping[str, T], default: T) -> T:
    if node is None:
        return default
    word = node.text()
    if word not in choices:
        raise node.error(f"found {word!r}, expected one of: {', '.join(choices)}")
    return choices[word]


def _ciphers(node: Node | None) -> str:
    if node is None:
        return ""
    return ":".join(filter(None, (_choice(item, _CIPHERS, "") for item in node.items())))


def _users(node: Node) -> Mapping[str, bytes]:
    if node.is_text() or node.is_list():
        raise node.error("expected user names, each with a bcrypt hash (from htpasswd -nBC 10 USER)")
    users = {}
    for user, hashed in node.entries().items():
        text = hashed.text() if hashed.is_text() else ""
        if not _BCRYPT.match(text):
            raise hashed.error("expected a bcrypt hash such as htpasswd -nBC 10 USER prints, found something else")
        users[user] = text.encode()
    return users


def _headers(node: Node) -> Mapping[str, str]:
    keys = node.mapping(frozenset({"http2", "headers"}))  # http2: this server speaks HTTP/1.1 either way
    if "headers" not in keys:
        return {}
    headers = {name: value.text() for name, value in keys["headers"].mapping(_HEADERS).items()}
    for name, value in headers.items():
        if not value.isprintable():
            raise keys["headers"].error(f"{name} holds a character that no header can hold")
    return headers
