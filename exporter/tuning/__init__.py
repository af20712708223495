"""Tuning that pays."""
