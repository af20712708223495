"""Tuning that pays: the exceptions that would have removed most alerts that were not attacks.

Owns which exceptions are proposed and what is said of each. Every exception is
written by the one writer (``exporter.falco.exceptions``). Refuses one that
would hide a likely attack of the time that was looked at.
"""
