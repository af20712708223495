"""Checks of the catalog's quality: what a person would look for, done by a program.

Owns judging advice: field use, length, wording, commands, snippets, Falco
tuning, undo, ATT&CK ids, links. The schema is the loader's. Each check is one
module with one function from a catalog to findings; none knows another.
"""
