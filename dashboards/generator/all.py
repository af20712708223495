"""Every dashboard with the file that it goes to."""

from __future__ import annotations

from dashboards.generator.overview import overview


def dashboards() -> dict[str, str]:
    """Return JSON by file name."""
    return {"falco-overview.json": overview().to_json()}
