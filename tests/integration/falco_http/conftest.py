"""A receiver with small limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.config.model import FalcoHttp
from tests.integration.falco_http.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(FalcoHttp(address="127.0.0.1:0", body_limit_bytes=100_000)) as found:
        yield found
