"""A report in the form a reader wants: text, Markdown, HTML, JSON, three lines for a pager.

Every renderer walks what ``document.py`` makes of a ``Report`` and escapes
each value for its own target by ``exporter.escaping``. Refuses to decide what
a report says (see ``report.py``).
"""
