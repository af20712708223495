"""The HTTP side: landing page, metrics, probes and report pages.

Owns routes, pages and who may see them. Everything shown is injected
(``Content``); this package counts, stores and explains nothing itself.
"""
