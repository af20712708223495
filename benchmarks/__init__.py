"""Measurements of the exporter: ``make bench``. README.md has the table."""
