"""Falco's own languages: conditions, lists, macros and exceptions, and the rules files that hold them.

Owns reading and evaluating them as Falco does, and the one writer of
exceptions, list items and condition values. Refuses to know alerts, advice
and the catalog.
"""
