"""What holds for every test.

Generated examples may take their time on a busy machine, and no test finds the log as another one has set it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are generated says something about the machine, not about the code under test.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(autouse=True)
def _log_is_left_as_it_was() -> Iterator[None]:
    """A command that is run in a test's process sets level and handlers for all that come after it."""
    root, ours = logging.getLogger(), logging.getLogger("exporter")
    handlers, levels = set(root.handlers), (root.level, ours.level)
    yield
    # pytest's own come and go with each phase of a test.
    root.handlers[:] = [
        each for each in root.handlers if each in handlers or type(each).__module__ == "_pytest.logging"
    ]
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
