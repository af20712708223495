"""A receiver for each protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.otlp.receiver import Receiver
from tests.integration.otlp.sinks import RECEIVERS


@pytest.fixture(params=list(RECEIVERS))
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def receiver(protocol: str) -> Iterator[Receiver]:
    with RECEIVERS[protocol]() as running:
        yield running
