"""Who may see report pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.model import Web
from exporter.web.access import may_show_reports


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Web(), False),
        (Web(listen_address="127.0.0.1:9376"), True),
        (Web(reports_address="127.0.0.1:9377"), True),
        (Web(listen_address="127.0.0.1:9376", reports_address=":9377"), False),
        (Web(config_file=Path("web.yml")), True),
    ],
)
def test_reports_are_kept_where_somebody_can_see_them(settings: Web, expected: bool) -> None:
    """Loopback, or a configuration file that may ask for a password now or later."""
    assert may_show_reports(settings) is expected
