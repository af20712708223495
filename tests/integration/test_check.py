"""``check``: each part by name, with what to do where it does not work."""

from __future__ import annotations

import gzip
import socket
from pathlib import Path

import pytest

from exporter.app import App
from exporter.cli import main
from exporter.config.model import Config, JsonLines, Web
from exporter.simulator.server import FalcoSimulator
from tests.integration.certificates import Authority
from tests.integration.otlp.receiver import grpc_receiver


def test_check_says_what_works(falco: FalcoSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    """With a Falco that answers: its version, the shared queue explained, exit 0."""
    assert main(["check", "--target", falco.address]) == 0
    said = capsys.readouterr().out
    assert "ok   configuration and catalog: valid" in said
    assert "Falco 0.43.1 (engine 0.58.0) answers" in said
    assert "one queue for all its gRPC clients" in said
    assert "off  OTLP" in said


def test_check_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Falco and without collector: a line each with what to do, exit 1."""
    arguments = ["--target", f"unix://{tmp_path}/none.sock", "--otlp.endpoint", "http://127.0.0.1:9"]
    assert main(["check", *arguments, "--otlp.protocol", "grpc"]) == 1
    said = capsys.readouterr().out
    failures = [line for line in said.splitlines() if line.startswith("FAIL")]
    assert len(failures) == 2
    assert "none.sock" in failures[0]
    assert "grpc" in failures[0]
    assert "127.0.0.1:9" in failures[1]


def test_check_names_every_listener_queue_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where everything can be had: the receiver with the lines for falco.yaml, the file, the pages; exit 0."""
    file = tmp_path / "alerts.jsonl"
    file.write_text("")
    listen = ["--web.listen-address", "127.0.0.1:0", "--http.address", "127.0.0.1:0"]
    assert main(["check", *listen, "--json-lines.file", str(file)]) == 0
    said = capsys.readouterr().out
    assert "ok   receiver 127.0.0.1:0: free to listen on" in said
    assert "http_output: {enabled: true, url: http://127.0.0.1:0/}" in said
    assert f"ok   file {file}: readable" in said
    assert "ok   metrics 127.0.0.1:0" in said
    assert "ok   report pages: on" in said


def test_check_says_what_each_part_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use, a file that is not there, a queue that is not a directory: a line each, exit 1."""
    (tmp_path / "queue").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ["--http.address", address, "--web.listen-address", "127.0.0.1:0", "--otlp.protocol", "grpc"]
        arguments += ["--json-lines.file", f"{tmp_path}/none/a.jsonl", "--otlp.endpoint", "http://127.0.0.1:9"]
        queue = tmp_path / "queue"
        assert (
            main(["check", *arguments, "--json-lines.state-file", f"{tmp_path}/p", "--queue.directory", str(queue)])
            == 1
        )
    failures = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failures] == ["receiver", "file", "OTLP", "queue"]
    assert "choose another address" in failures[0]
    assert f"its directory does not exist, and Falco does not make it: sudo mkdir -p {tmp_path}/none" in failures[1]
    assert "it is not a directory; alerts would wait in memory only: set queue.directory to a directory" in failures[3]


def test_check_says_what_would_only_show_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A certificate that has expired, a file that is compressed, a history that cannot be written."""
    authority = Authority(tmp_path)
    expired = authority.make_server("expired", days=-1)
    file = tmp_path / "alerts.jsonl.gz"
    file.write_bytes(gzip.compress(b"{}\n"))
    web_config = tmp_path / "web.yml"
    web_config.write_text(f"tls_server_config: {{cert_file: {expired.cert_file}, key_file: {expired.key_file}}}\n")
    listen = [
        "--http.address",
        "127.0.0.1:0",
        "--web.listen-address",
        "127.0.0.1:0",
        "--web.config.file",
        str(web_config),
    ]
    listen += ["--http.tls.cert-file", str(expired.cert_file), "--http.tls.key-file", str(expired.key_file)]
    assert main(["check", *listen, "--json-lines.file", str(file), "--history.directory", str(file)]) == 1
    failures = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert [line.partition(": ")[0] for line in failures] == [
        "FAIL receiver 127.0.0.1:0",
        f"FAIL file {file}",
        f"FAIL history {file}",
        "FAIL metrics and report pages",
    ]
    assert f"{expired.cert_file} has expired; every client refuses it: renew it" in failures[0]
    assert "it is compressed (gzip)" in failures[1]
    assert "set history.directory to a directory" in failures[2]
    assert "has expired" in failures[3]


def test_a_file_that_falco_has_not_made_yet_is_no_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first alert there is none: it is named with the lines for falco.yaml, exit 0."""
    file = tmp_path / "alerts.jsonl"
    assert main(["check", "--web.listen-address", "127.0.0.1:0", "--json-lines.file", str(file)]) == 0
    said = capsys.readouterr().out
    assert f"note file {file}: no such file yet; Falco makes it with its first alert" in said
    assert f"filename: {file}" in said


def test_check_names_the_files_of_every_endpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A named endpoint's authority that is not PEM is a mistake in the settings; the rest is looked at too."""
    authority, lines = tmp_path / "ca.der", tmp_path / "alerts.jsonl"
    authority.write_bytes(b"0\x82")
    lines.write_text("")
    file = tmp_path / "config.yaml"
    file.write_text(
        f"endpoints: [{{name: soc, endpoint: 'https://127.0.0.1:9', tls: {{ca_file: {authority}}}}}]\n"
        f"routes: [{{to: soc}}]\njson_lines: {{file: {lines}}}\nweb: {{listen_address: '127.0.0.1:0'}}\n"
    )
    assert main(["check", "--config", str(file)]) == 2
    said = capsys.readouterr()
    assert f"endpoints: soc: tls.ca_file: expected a PEM file, and '{authority}' holds no line" in said.err
    assert "ok   metrics 127.0.0.1:0: free to listen on" in said.out
    assert "configuration and catalog: valid" not in said.out


def test_check_names_listeners_that_are_seldom_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Our own gRPC server and the address for probes: free, taken, and an expired certificate."""
    pair = Authority(tmp_path).make_server("expired", days=-1)
    authority = tmp_path / "ca.pem"
    tls = ["--serve-grpc.tls.cert-file", str(pair.cert_file), "--serve-grpc.tls.key-file", str(pair.key_file)]
    tls += ["--serve-grpc.tls.client-ca-file", str(authority)]
    arguments = ["check", "--stdin", "--web.listen-address", "127.0.0.1:0"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([*arguments, "--web.probe-address", address, "--serve-grpc", "127.0.0.1:0", *tls]) == 1
    said = capsys.readouterr().out
    assert "ok   standard input: read until its end" in said
    assert f"FAIL probes {address}: " in said
    assert "ok   gRPC server 127.0.0.1:0: free to listen on" in said
    assert "FAIL gRPC server 127.0.0.1:0: serve_grpc.tls.cert_file: " in said


def test_check_says_that_a_catalog_directory_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of one's own would be used; once a file is there, nothing is said."""
    arguments = ["check", "--stdin", "--web.listen-address", "127.0.0.1:0"]
    arguments += ["--catalog.directories", str(tmp_path)]
    (tmp_path / "notes.txt").write_text("none")
    assert main(arguments) == 0
    note = f"note catalog {tmp_path}: no .yaml file is in it: no advice of your own is used"
    assert note in capsys.readouterr().out
    (tmp_path / "own.yaml").write_text("entries: [{rule: R, source: syscall, summary: S., impact: I.}]\n")
    assert main(arguments) == 0
    assert f"catalog {tmp_path}" not in capsys.readouterr().out


def test_check_knows_an_exporter_that_runs_already(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Asked beside the running exporter, an address that it holds is not a mistake."""
    file = tmp_path / "alerts.jsonl"
    file.write_text("")
    app = App(Config(json_lines=JsonLines(file=file), web=Web(listen_address="127.0.0.1:0")))
    app.start()
    try:
        listen = ["--web.listen-address", f"127.0.0.1:{app.web.port}"]
        assert main(["check", *listen, "--json-lines.file", str(file)]) == 0
    finally:
        app.close()
    assert "an exporter is running there already" in capsys.readouterr().out


def test_check_says_why_report_pages_are_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The default address can be reached by others, so that pages need a password or an address of their own."""
    file = tmp_path / "alerts.jsonl"
    file.write_text("")
    assert main(["check", "--web.listen-address", ":0", "--json-lines.file", str(file)]) == 0
    assert "off  report pages: this address can be reached from other machines" in capsys.readouterr().out


def test_check_names_a_queue_that_cannot_be_written(
    falco: FalcoSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An impossible directory is a failure with what to do; one that works is named with its free space."""
    with grpc_receiver() as receiver:
        arguments = ["check", "--target", falco.address, "--otlp.endpoint", receiver.endpoint, "--queue.directory"]
        assert main([*arguments, "/proc/queue"]) == 1
        assert "FAIL queue /proc/queue: cannot be written" in capsys.readouterr().out
        assert main([*arguments, str(tmp_path / "queue")]) == 0
        assert f"ok   queue {tmp_path}/queue: can be written" in capsys.readouterr().out
        assert list((tmp_path / "queue").iterdir()) == []


def test_check_says_that_opentelemetry_is_turned_off(
    falco: FalcoSimulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An endpoint with OTEL_SDK_DISABLED sends nothing, and says why."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert main(["check", "--target", falco.address, "--otlp.endpoint", "http://127.0.0.1:9"]) == 0
    assert "off  OTLP: OTEL_SDK_DISABLED is true" in capsys.readouterr().out
