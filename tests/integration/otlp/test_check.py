"""`check` says whether an endpoint works, and what to do where it does not."""

from __future__ import annotations

import grpc
import pytest

from exporter.config.model import Otlp
from exporter.sinks.otel.send.environment import to_endpoint
from exporter.sinks.otel.send.probe import check_endpoint
from tests.integration.otlp.receiver import Receiver, Reply, free_port, http_receiver


def test_check_says_whether_an_endpoint_works(receiver: Receiver, protocol: str) -> None:
    """A working endpoint is named as such, and gets no record."""
    outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), {}))
    assert outcome.works
    assert not receiver.accepted


@pytest.mark.parametrize(
    ("grpc_status", "http_status", "advice"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, 401, "OTEL_EXPORTER_OTLP_HEADERS"),
        (grpc.StatusCode.UNIMPLEMENTED, 404, "logs pipeline"),
    ],
)
def test_check_says_what_to_do(
    receiver: Receiver, protocol: str, grpc_status: grpc.StatusCode, http_status: int, advice: str
) -> None:
    """Each refusal comes with the setting that would help."""
    receiver.script.append(Reply(grpc_status if protocol == "grpc" else http_status))
    outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol=protocol), {}))
    assert not outcome.works
    assert advice in outcome.message


def test_check_says_that_nobody_listens(protocol: str) -> None:
    """A port where nobody is gives a plain word."""
    settings = Otlp(endpoint=f"http://127.0.0.1:{free_port()}", protocol=protocol)
    outcome = check_endpoint(to_endpoint(settings, {"OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}))
    assert not outcome.works
    assert "check that a collector runs" in outcome.message


def test_check_knows_the_other_protocols_port() -> None:
    """gRPC spoken to an HTTP port: says that something else listens there, or that nobody does."""
    with http_receiver() as receiver:
        outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol="grpc"), {}))
    assert not outcome.works
    assert "listens there" in outcome.message or "collector runs" in outcome.message


def test_check_knows_tls_spoken_to_a_port_without_it(protocol: str) -> None:
    """A certificate would not help; and the answer has no object of a library in it."""
    with http_receiver() as receiver:
        endpoint = receiver.endpoint.replace("http://", "https://")
        outcome = check_endpoint(to_endpoint(Otlp(endpoint=endpoint, protocol=protocol), {}))
    assert not outcome.works
    assert "the receiver does not speak TLS there: use http://" in outcome.message
    assert "Max retries" not in outcome.message


def test_check_knows_a_web_server_by_its_page() -> None:
    """A page in the answer's place is told by its title, with what to look at."""
    page = b"<!doctype html><html><head><title>Not Implemented</title></head></html>"
    with http_receiver() as receiver:
        receiver.script.append(Reply(501, {"content-type": "text/html"}, page))
        outcome = check_endpoint(to_endpoint(Otlp(endpoint=receiver.endpoint, protocol="http/protobuf"), {}))
    answered, _, advice = outcome.message.partition(": ")
    assert answered == "answered http_5xx \"an HTML page, 'Not Implemented'\""
    assert advice.startswith("something else listens there")
