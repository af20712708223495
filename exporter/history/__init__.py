"""The history: every alert with its verdict, on disk, searchable.

Owns one SQLite file (``docs/decisions/history.md``): what is kept and for how
long, the search in it, and what happens when the disk or the file fails. What
is kept is the message as the sinks see it, masked where it is masked; advice
is made anew when a report is opened.
"""

from exporter.history.facts import Row
from exporter.history.history import History, HistoryError, Kept
from exporter.history.query import Query
from exporter.history.sink import HistorySink
from exporter.history.store import Fallback, ReportStore

__all__ = ["Fallback", "History", "HistoryError", "HistorySink", "Kept", "Query", "ReportStore", "Row"]
