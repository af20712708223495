"""Incidents: alerts that belong together, told as one story.

Owns what ties two alerts (``tie.py`` and a module per kind of source), who
belongs to whom (``joining.py``), what is told (``ledger.py``), and what an incident says (``story.py``).
Refuses to render and to send.
"""
