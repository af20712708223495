"""What the documentation gives to be pasted is read by the program as the text around it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter.cli import build_parser
from exporter.commands.settings import config_from
from exporter.config.loader import load_config
from exporter.config.model import Otlp
from exporter.sinks.otel.send.environment import to_endpoint, to_named_endpoint

ROOT = Path(__file__).parents[3]
BACKENDS = (ROOT / "docs" / "backends.md").read_text("utf-8")
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
RECEIVING = (ROOT / "docs" / "receiving.md").read_text("utf-8")
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONTAINER = re.findall(r"falco-report-exporter (run .*)$", (ROOT / "docs" / "container.md").read_text("utf-8"), re.M)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", BACKENDS, re.MULTILINE | re.DOTALL)


def environment(block: str, directory: Path) -> dict[str, str]:
    """The variables that a shell makes of a block, with the file of the token in the directory."""
    (directory / "token").write_text("s3cret/t+k==\n", encoding="utf-8")
    script = f"set -a\n{block.replace('/etc/falco-report-exporter', shlex.quote(str(directory)))}\nenv -0"
    done = subprocess.run(["sh", "-euc", script], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"})
    pairs = (each.partition("=") for each in done.stdout.decode().split("\0") if each)
    return {name: value for name, _, value in pairs if name.startswith("OTEL_")}


EXPECTED = [
    ("grpc", "https://otlp.example.com:4317", {"authorization": "Bearer s3cret/t+k=="}),
    (
        "http/protobuf",
        "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/logs",
        {"authorization": "Basic MTIzNDU2OnMzY3JldC90K2s9PQ=="},
    ),
    ("http/protobuf", "http://loki:3100/otlp/v1/logs", {"x-scope-orgid": "security"}),
    (
        "http/protobuf",
        "http://victorialogs:9428/insert/opentelemetry/v1/logs",
        {"vl-stream-fields": "service.name,service.instance.id", "accountid": "12", "projectid": "3"},
    ),
]


def test_each_backend_is_asked_as_it_wants_to_be(tmp_path: Path) -> None:
    """Address, transport and headers come out of the shell as the backend's documentation has them."""
    found = [to_endpoint(Otlp(), environment(block, tmp_path)) for block in blocks("sh")]
    assert [(each.protocol, each.url, dict(each.headers)) for each in found] == EXPECTED


def test_the_settings_for_two_backends_are_valid(tmp_path: Path) -> None:
    """Both endpoints have their queue, the second its headers."""
    queue, two = blocks("yaml")
    (tmp_path / "siem-headers").write_text("authorization=Bearer%20x\n", encoding="utf-8")
    for block in (queue, two):
        file = tmp_path / "config.yaml"
        file.write_text(block.replace("/etc/falco-report-exporter", str(tmp_path)), encoding="utf-8")
        config = load_config({}, {}, file)
        assert config.queue.directory == Path("/var/lib/falco-report-exporter/queue")
    (siem,) = config.endpoints
    assert to_named_endpoint(siem, config.otlp, {}).headers == {"authorization": "Bearer x"}
    assert [route.to for route in config.routes] == [("default", "siem")] * 2


def test_the_program_that_falco_starts_is_ours() -> None:
    """It reads standard input, and Falco keeps it, since it would start one for every alert."""
    (block,) = [block for block in YAML.findall(RECEIVING) if "program_output" in block]
    settings = yaml.safe_load(block)
    assert settings["json_output"]
    output = settings["program_output"]
    assert output["enabled"]
    assert output["keep_alive"]
    words = shlex.split(output["program"])
    assert words[0] == "falco-report-exporter"
    assert config_from(build_parser().parse_args(words[1:])).json_lines.stdin


@pytest.mark.parametrize("command", CONTAINER)
def test_a_command_of_a_container_is_valid(command: str) -> None:
    """Every flag exists and what is set fits together; the pages are on loopback, which host networking shares."""
    config = config_from(build_parser().parse_args(shlex.split(command)))
    assert config.web.listen_address == "127.0.0.1:9376"


def test_there_is_a_command_for_each_way_in() -> None:
    """HTTP, file and gRPC."""
    ways = ("--http.address", "--json-lines.file", "--target")
    assert all(sum(way in command for command in CONTAINER) == 1 for way in ways)


def test_each_message_that_is_explained_is_one_of_ours() -> None:
    """Whoever searches the page for a message of the log finds the message that the program writes."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / "exporter").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    messages = re.findall(r"^\| `([^`]+)` \|", TROUBLE, re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        parts = [part for part in re.split(r"\s*…\s*|[()]", message) if len(part) > 3]
        assert parts, message
        for part in parts:
            assert part in joined, f"{message!r}: no source has {part!r}"
