"""Prometheus: counting alerts by rule and priority, and writing what is scraped."""
