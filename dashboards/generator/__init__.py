"""The dashboards, as code: Grafana's Foundation SDK makes the JSON in ``dashboards/``.

``python -m dashboards.generator`` writes it, ``--check`` says what is stale.
Read ``style.py`` (what is the same everywhere), then one dashboard's module.
"""
