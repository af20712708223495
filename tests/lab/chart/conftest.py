"""One cluster for all tests of the chart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.programs import find_collector
from tests.lab.chart.site import Site
from tests.lab.places.services import cluster_with_services
from tests.lab.programs import built


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A cluster with the project's image, a collector and a Prometheus."""
    collector = find_collector()
    built("helm")
    with cluster_with_services() as cluster:
        made = Site(cluster)
        made.load_images(collector)
        made.start_observability()
        yield made
