"""Who may post, as the settings and their files say at the moment."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest

from exporter.config.model import FalcoHttp, TlsServer
from exporter.errors import ConfigError
from exporter.listener.tls import ServerContext
from exporter.sources.falco_http_access import expected_authorization, expected_path, tls_context
from tests.integration.certificates import Authority


def test_without_a_secret_everybody_may_post() -> None:
    """None is expected."""
    assert expected_authorization(FalcoHttp())() is None


@pytest.mark.parametrize("kind", ["bearer_token_file", "basic_auth_password_file"])
def test_the_secret_is_read_again_when_it_changes(tmp_path: Path, kind: str) -> None:
    """As the header has it; a file that is missing or empty is an error that names the setting."""
    file = tmp_path / "secret"
    settings = FalcoHttp(basic_auth_user="falco", **{kind: file})  # type: ignore[arg-type]
    for content in (None, " \n"):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfigError, match=rf"^http\.{kind}: .*/secret: "):
            expected_authorization(settings)
    file.write_text("first\n")
    read = expected_authorization(settings)
    for word in ("first", "another"):
        file.write_text(word)
        basic = b"Basic " + base64.b64encode(f"falco:{word}".encode())
        assert read() == (f"Bearer {word}".encode() if kind.startswith("bearer") else basic)


@pytest.mark.parametrize(("path", "expected"), [("", None), ("/", None), ("/falco", b"/falco"), ("/XX", b"/XX")])
def test_the_path_that_is_set(path: str, expected: bytes | None) -> None:
    """``/`` is every path."""
    assert expected_path(FalcoHttp(path=path))() == expected


def test_the_secret_path_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """What no request could have as its path is an error."""
    file = tmp_path / "path"
    settings = FalcoHttp(path="/other", path_file=file)
    for wrong in ("secret", "/a b", "/a?b", "/\u00e9", "/"):
        file.write_text(wrong)
        with pytest.raises(ConfigError, match=r"^http\.path_file: .*: expected a path such as /5f1c…, that starts"):
            expected_path(settings)
    file.unlink()
    with pytest.raises(ConfigError, match=r"^http\.path_file: "):
        expected_path(settings)
    file.write_text("/first\n")
    read = expected_path(settings)
    assert read() == b"/first"
    file.write_text("/another!~\n")
    assert read() == b"/another!~"


def test_without_certificate_or_key_there_is_no_tls(tmp_path: Path) -> None:
    """Both are needed."""
    pair = Authority(tmp_path).make_server()
    for tls in (TlsServer(), TlsServer(pair.cert_file), TlsServer(None, pair.key_file)):
        assert tls_context(tls)() is None


def test_the_certificate_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Clients show one where their authority is set; files that do not fit are an error."""
    authority = Authority(tmp_path)
    pair = authority.make_server()
    open_to_all = tls_context(TlsServer(pair.cert_file, pair.key_file))
    mutual = tls_context(TlsServer(pair.cert_file, pair.key_file, authority.cert_file))
    first = open_to_all()
    assert first is not None
    assert first.verify_mode is ssl.CERT_NONE
    context = mutual()
    assert isinstance(context, ServerContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1
    assert mutual() is context
    authority.make_server()
    assert mutual() is not context
    with pytest.raises(ConfigError, match=r"^http\.tls: .*/missing with "):
        tls_context(TlsServer(tmp_path / "missing", pair.key_file))
