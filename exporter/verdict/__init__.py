"""Whether an alert is an attack, benign or a test, and whether what it reports succeeded.

Owns signs, what they come to together, and why. Refuses advice: what to do
about an alert is the catalog's.
"""
