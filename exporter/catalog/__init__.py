"""Advice: what was written for each rule, and which rule gets what."""
