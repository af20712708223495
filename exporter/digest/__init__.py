"""The digest: what happened in a period, on one page.

Owns what is counted and how it is shown. The same history and the same time
give the same bytes. Refuses to read the clock and to know HTTP.
"""
