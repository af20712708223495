"""The history: every alert with its verdict, on disk, searchable.

Owns one SQLite file (``docs/decisions/history.md``): what is kept and for how
long, the search in it, and what happens when the disk or the file fails. What
is kept is the message as the sinks see it, masked where it is masked; advice
is made anew when a report is opened.
"""
