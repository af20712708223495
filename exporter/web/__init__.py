"""The HTTP side: landing page, metrics, probes and report pages.

Owns routes, pages and who may see them. Everything shown is injected
(``Content``); this package counts, stores and explains nothing itself.
"""

from exporter.web.access import may_show_reports
from exporter.web.content import Content, StateRow
from exporter.web.server import WebServer

__all__ = ["Content", "StateRow", "WebServer", "may_show_reports"]
