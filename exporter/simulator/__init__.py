"""A faithful stand-in for Falco's gRPC server, for the demo, tests and benchmarks.

Owns the server's behaviour (``server.py``), the shape of its alerts
(``alerts.py``) and what it plays (``scenarios.py``). Refuses to detect anything.
"""
